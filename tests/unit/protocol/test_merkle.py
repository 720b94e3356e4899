from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProofError
from protocol.merkle import (
    EMPTY_ROOT,
    CompactRange,
    leaf_hash,
    node_hash,
    perfect_root,
    prove_consistency,
    prove_inclusion,
    range_root,
    root_of,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
KNOWN = json.loads((VECTORS / "merkle.json").read_text())
ENTRIES = [bytes.fromhex(entry) for entry in KNOWN["entries"]]
ROOTS = [bytes.fromhex(root) for root in KNOWN["roots"]]


def second_opinion() -> ModuleType:
    """The checker, loaded by path as its users do."""
    spec = importlib.util.spec_from_file_location("merkle_check", VECTORS / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = second_opinion()
LOGS = st.lists(st.binary(max_size=3), min_size=1, max_size=40)


def subtrees(entries: list[bytes]) -> Callable[[int, int], bytes]:
    leaves = [leaf_hash(entry) for entry in entries]
    return lambda level, index: perfect_root(
        b"".join(leaves[index << level : (index + 1) << level])
    )


def hashes(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def test_known_roots() -> None:
    assert (
        ROOTS[0] == EMPTY_ROOT == base64.b64decode("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
    )
    # published with the certificate-transparency test data
    assert ROOTS[8].hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    for size, root in enumerate(ROOTS):
        assert root_of(map(leaf_hash, ENTRIES[:size])) == root


@pytest.mark.parametrize("case", KNOWN["inclusion"], ids=lambda c: f"{c['index']}-of-{c['size']}")
def test_known_inclusion(case: dict[str, Any]) -> None:
    index, size, proof = case["index"], case["size"], hashes(case["proof"])
    assert prove_inclusion(index, size, subtrees(ENTRIES)) == tuple(proof)
    verify_inclusion(leaf_hash(ENTRIES[index]), index, size, ROOTS[size], proof)


@pytest.mark.parametrize("case", KNOWN["consistency"], ids=lambda c: f"{c['size1']}-{c['size2']}")
def test_known_consistency(case: dict[str, Any]) -> None:
    size1, size2, proof = case["size1"], case["size2"], hashes(case["proof"])
    assert prove_consistency(size1, size2, subtrees(ENTRIES)) == tuple(proof)
    verify_consistency(size1, ROOTS[size1], size2, ROOTS[size2], proof)
    for root1, root2 in ((leaf_hash(b"x"), ROOTS[size2]), (ROOTS[size1], leaf_hash(b"x"))):
        with pytest.raises(ProofError):
            verify_consistency(size1, root1, size2, root2, proof)


@settings(max_examples=60, deadline=None)
@given(LOGS, st.data())
def test_agrees_with_the_second_opinion(entries: list[bytes], data: st.DataObject) -> None:
    size = len(entries)
    index = data.draw(st.integers(0, size - 1))
    size1 = data.draw(st.integers(1, size))
    root, root1 = CHECK.root(entries), CHECK.root(entries[:size1])
    assert root_of(map(leaf_hash, entries)) == root
    assert range_root(0, size, subtrees(entries)) == root
    path = prove_inclusion(index, size, subtrees(entries))
    assert list(path) == CHECK.inclusion(index, entries)
    verify_inclusion(leaf_hash(entries[index]), index, size, root, path)
    proof = prove_consistency(size1, size, subtrees(entries))
    assert list(proof) == CHECK.consistency(size1, entries)
    verify_consistency(size1, root1, size, root, proof)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.lists(st.sampled_from([leaf_hash(b"a"), leaf_hash(b"b")]), max_size=5),
)
def test_refuses_what_the_second_opinion_refuses(first: int, size: int, proof: list[bytes]) -> None:
    entry = b"a"
    leaf = leaf_hash(entry)
    reached = CHECK.root_by_inclusion(leaf, first, size, proof) if first < size else None
    if reached is None:
        with pytest.raises(ProofError):
            verify_inclusion(leaf, first, size, leaf, proof)
    else:
        verify_inclusion(leaf, first, size, reached, proof)
    roots = CHECK.roots_by_consistency(first, leaf, size, proof) if 0 < first <= size else None
    if roots is None or (roots[0] != leaf and first & (first - 1) == 0):
        if first:
            with pytest.raises(ProofError):
                verify_consistency(first, leaf, size, leaf, proof)
    else:
        verify_consistency(first, roots[0], size, roots[1], proof)


@settings(max_examples=60, deadline=None)
@given(LOGS, st.data())
def test_a_changed_bit_anywhere_is_refused(entries: list[bytes], data: st.DataObject) -> None:
    size = len(entries)
    index = data.draw(st.integers(0, size - 1))
    root = root_of(map(leaf_hash, entries))
    parts = [leaf_hash(entries[index]), root, *prove_inclusion(index, size, subtrees(entries))]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = bytes([parts[which][0] ^ 1]) + parts[which][1:]
    with pytest.raises(ProofError):
        verify_inclusion(parts[0], index, size, parts[1], parts[2:])
    size1 = data.draw(st.integers(1, size))
    root1 = root_of(map(leaf_hash, entries[:size1]))
    parts = [root1, root, *prove_consistency(size1, size, subtrees(entries))]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = bytes([parts[which][0] ^ 1]) + parts[which][1:]
    with pytest.raises(ProofError):
        verify_consistency(size1, parts[0], size, parts[1], parts[2:])


@given(st.lists(st.binary(max_size=3), max_size=40), st.integers(0, 40))
def test_compact_range_grows_in_any_steps(entries: list[bytes], cut: int) -> None:
    leaves = [leaf_hash(entry) for entry in entries]
    grown = CompactRange().extend(leaves[:cut])
    for leaf in leaves[cut:]:
        grown = grown.push(leaf)
    assert grown == CompactRange().extend(leaves)
    assert grown.size == len(entries)
    assert grown.root() == CHECK.root(entries)


def test_from_the_empty_tree() -> None:
    verify_consistency(0, EMPTY_ROOT, 5, ROOTS[5], [])
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    for root1, size2, root2, proof in [
        (ROOTS[1], 5, ROOTS[5], []),
        (EMPTY_ROOT, 5, ROOTS[5], [ROOTS[1]]),
        (EMPTY_ROOT, 0, ROOTS[1], []),
    ]:
        with pytest.raises(ProofError):
            verify_consistency(0, root1, size2, root2, proof)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33)])
def test_every_hash_has_32_bytes(wrong: bytes) -> None:
    for call in (
        lambda: verify_inclusion(wrong, 0, 1, wrong, []),
        lambda: verify_inclusion(bytes(32), 0, 2, bytes(32), [wrong]),
        lambda: verify_consistency(1, wrong, 1, wrong, []),
        lambda: verify_consistency(1, bytes(32), 2, bytes(32), [wrong]),
        lambda: CompactRange().push(wrong),
    ):
        with pytest.raises(ProofError, match="32 bytes"):
            call()


def test_bounds() -> None:
    for call in (
        lambda: verify_inclusion(bytes(32), 0, 2**63, bytes(32), []),
        lambda: verify_inclusion(bytes(32), -1, 1, bytes(32), []),
        lambda: verify_inclusion(bytes(32), 0, 2, bytes(32), [bytes(32)] * 64),
        lambda: verify_consistency(3, bytes(32), 2, bytes(32), []),
        lambda: verify_consistency(-1, bytes(32), 2, bytes(32), []),
        lambda: prove_inclusion(2, 2, subtrees(ENTRIES)),
        lambda: prove_consistency(3, 2, subtrees(ENTRIES)),
        lambda: CompactRange(1, ()),
    ):
        with pytest.raises(ProofError):
            call()


def test_no_hash_beyond_the_root() -> None:
    """A longer proof does not become good by a root that was made to fit it."""
    more, leaf = bytes(32), leaf_hash(ENTRIES[0])
    with pytest.raises(ProofError, match="beyond"):
        verify_inclusion(leaf, 0, 1, node_hash(more, leaf), [more])
    proof = [*prove_consistency(3, 4, subtrees(ENTRIES)), more]
    with pytest.raises(ProofError, match="beyond"):
        verify_consistency(3, node_hash(more, ROOTS[3]), 4, node_hash(more, ROOTS[4]), proof)


def test_node_hash_is_not_leaf_hash() -> None:
    left, right = ROOTS[1], ROOTS[2]
    assert node_hash(left, right) != leaf_hash(left + right)


def test_published_vectors(data_dir: Path) -> None:
    """All inclusion and consistency cases of transparency-dev/merkle but one, which calls a root of
    12 bytes good: here every hash has 32."""
    decode = base64.b64decode
    cases, differing = 0, []
    folder = data_dir / "vectors" / "merkle-proofs"
    for path in sorted(folder.rglob("*.json")):
        kind, case = path.relative_to(folder).parts[0], json.loads(path.read_text())
        if kind not in ("inclusion", "consistency"):
            continue
        proof = [decode(value) for value in case["proof"] or []]
        try:
            if kind == "inclusion":
                leaf, root = decode(case["leafHash"] or ""), decode(case["root"] or "")
                verify_inclusion(leaf, case["leafIdx"], case["treeSize"], root, proof)
            else:
                root1, root2 = decode(case["root1"] or ""), decode(case["root2"] or "")
                verify_consistency(case["size1"], root1, case["size2"], root2, proof)
            refused = False
        except ProofError:
            refused = True
        cases += 1
        if refused != case["wantErr"]:
            differing.append(path.relative_to(folder).as_posix())
    assert cases == 196
    assert differing == ["consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"]
