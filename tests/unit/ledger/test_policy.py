from __future__ import annotations

import pytest

from ledger.note import COSIGNATURE_V1, ED25519, NoteKey, Signature
from ledger.policy import Policy, PolicyGroup, PolicyLog, PolicyWitness, evaluate
from protocol.errors import DecodeError, ProofError
from protocol.limits import POLICY_BYTES_MAX

LOG = NoteKey("log.example", ED25519, bytes(32))
KEYS = {
    name: NoteKey(f"{name}.example", COSIGNATURE_V1, bytes([number]) * 32)
    for number, name in enumerate(["X1", "X2", "X3", "Y1", "Y2"], 1)
}
HEAD = f"log {LOG.vkey} https://log.example/\n" + "".join(
    f"witness {name} {key.vkey}\n" for name, key in KEYS.items()
)
NESTED = (
    HEAD + "group X 2 X1 X2 X3\ngroup Y any Y1 Y2\ngroup both all X Y\nquorum both\n"
).encode()


def signed(*names: str) -> list[Signature]:
    return [Signature(KEYS[name].name, KEYS[name].id, b"verified") for name in names]


def test_round_trip() -> None:
    policy = Policy.parse(NESTED)
    assert policy.logs == (PolicyLog(LOG, "https://log.example/"),)
    assert policy.groups[0] == PolicyGroup("X", 2, ("X1", "X2", "X3"))
    assert policy.format() == NESTED
    assert Policy.parse(policy.format()) == policy


def test_a_bound_on_its_length() -> None:
    comment = b"#" * (POLICY_BYTES_MAX - len(NESTED))
    assert Policy.parse(NESTED + comment) == Policy.parse(NESTED)
    with pytest.raises(DecodeError, match=f"at most {POLICY_BYTES_MAX} bytes"):
        Policy.parse(NESTED + comment + b"#")


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (["X1", "X2", "Y1"], True),
        (["X3", "X2", "Y2", "Y1"], True),
        (["X1", "Y1"], False),
        (["X1", "X2", "X3"], False),
        (["Y1", "Y2"], False),
        ([], False),
    ],
)
def test_nested_quorum(names: list[str], good: bool) -> None:
    policy = Policy.parse(NESTED)
    if good:
        evaluate(policy, signed(*names))
    else:
        with pytest.raises(ProofError, match="quorum both"):
            evaluate(policy, signed(*names))


def test_one_witness_signing_twice_counts_once() -> None:
    with pytest.raises(ProofError):
        evaluate(Policy.parse(NESTED), signed("X1", "X1", "Y1"))


def test_a_name_without_its_key_id_counts_nothing() -> None:
    policy = Policy.parse((HEAD + "quorum X1\n").encode())
    evaluate(policy, signed("X1"))
    with pytest.raises(ProofError):
        evaluate(policy, [Signature(KEYS["X1"].name, KEYS["X2"].id, b"")])


def test_no_quorum() -> None:
    evaluate(Policy.parse(b"quorum none\n"), [])


def test_blanks_comments_and_opaque_octets() -> None:
    text = (
        b"\t # \xff comment\n\n \t witness \xffw \t" + KEYS["X1"].vkey.encode() + b" \nquorum \xffw"
    )
    policy = Policy.parse(text)
    evaluate(policy, signed("X1"))
    assert policy.format() == b"witness \xffw " + KEYS["X1"].vkey.encode() + b"\nquorum \xffw\n"


X1, X2 = KEYS["X1"].vkey, KEYS["X2"].vkey


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + "quorum none\nquorum none\n",
        HEAD + "quorum nobody\n",
        HEAD + "quorum X1 X2\n",
        HEAD + "quorum\n",
        f"quorum a\nwitness a {X1}\n",
        f"group g any a\nwitness a {X1}\nquorum g\n",
        HEAD + "group g any\nquorum g\n",
        HEAD + "group g 0 X1\nquorum g\n",
        HEAD + "group g 2 X1\nquorum g\n",
        HEAD + "group g 01 X1\nquorum g\n",
        HEAD + "group g some X1\nquorum g\n",
        HEAD + "group g any none\nquorum g\n",
        HEAD + "group g any X1 X1\nquorum g\n",
        HEAD + "group g any X1\ngroup h any X1\nquorum h\n",
        HEAD + "group X1 any X2\nquorum X1\n",
        HEAD + "group g any g\nquorum g\n",
        f"witness a {X1}\nwitness a {X2}\nquorum none\n",
        f"witness a {X1}\nwitness b {X1}\nquorum none\n",
        f"witness none {X1}\nquorum none\n",
        f"witness a {LOG.vkey}\nquorum none\n",
        f"log {X1}\nquorum none\n",
        f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n",
        f"log {LOG.vkey} url more\nquorum none\n",
        f"witness a {X1} url more\nquorum none\n",
        "log\nquorum none\n",
        "log nonsense\nquorum none\n",
        "witless\nquorum none\n",
        "quorum none\r\n",
        "\x0bquorum none\n",
        "# \x7f\nquorum none\n",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(DecodeError):
        Policy.parse(text.encode())


def test_a_policy_built_in_code_obeys_the_same_rules() -> None:
    witness = PolicyWitness("w", KEYS["X1"])
    assert Policy((), (witness,), (), "w").format().endswith(b"quorum w\n")
    for groups, quorum in [
        ((PolicyGroup("g", 1, ("later",)), PolicyGroup("later", 1, ("w",))), "g"),
        ((PolicyGroup("two words", 1, ("w",)),), "w"),
        ((), "nobody"),
    ]:
        with pytest.raises(DecodeError):
            Policy((), (witness,), groups, quorum)


def test_supports_109_offices() -> None:
    witnesses = tuple(
        PolicyWitness(f"w{n}", NoteKey(f"w{n}", COSIGNATURE_V1, n.to_bytes(32, "big")))
        for n in range(109)
    )
    majority = PolicyGroup("majority", 55, tuple(w.name for w in witnesses))
    policy = Policy.parse(Policy((), witnesses, (majority,), "majority").format())
    lines = [Signature(w.key.name, w.key.id, b"") for w in witnesses]
    evaluate(policy, lines[:55])
    with pytest.raises(ProofError):
        evaluate(policy, lines[:54])
