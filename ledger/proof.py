"""The proof of one file, as a handful of small files of standard formats (docs/spec/proof.md).

With the file itself and the reader's own genesis note they give its chain of evidence, and no node
and no log is asked: :mod:`ledger.chain` checks them, :mod:`ledger.proving` makes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ledger.fields import format_base64, parse_base64
from ledger.tlogproof import TlogProof
from protocol.errors import DecodeError, Missing, ProofError
from protocol.limits import PROOF_BYTES_MAX

FORMAT: Final = "fangzhi/proof/1"
_CHANGE: Final = re.compile(r"change-(\d{1,12})\.tlog-proof", re.ASCII)
_ANCHOR: Final = re.compile(r"anchor-(\d{6})\.tlog-proof", re.ASCII)
_GROWTH: Final = re.compile(r"growth-(\d{6})\.txt", re.ASCII)
_POLICY: Final = re.compile(r"policy-(\d{6})\.txt", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proof:
    """The parts; every tlog-proof carries in ``extra`` the entry that it proves.

    ``growths`` are add-checkpoint bodies (c2sp.org/tlog-witness) by office: of the province, from
    the size that the upload's roster had; of any other, from the size that was anchored.
    """

    genesis: bytes
    manifest: bytes
    upload: TlogProof
    signer: TlogProof | None  # the enrolment, where a named user's key signed the upload
    changes: tuple[TlogProof, ...]  # of members, by index in the provincial log
    growths: Mapping[str, bytes]
    anchors: Mapping[str, TlogProof]  # by the office above that said it
    policies: Mapping[str, bytes]  # c2sp.org/tlog-policy, by office

    def files(self) -> dict[str, bytes]:
        """Name and content of each file of the proof."""
        files = {
            "genesis.note": self.genesis,
            "manifest.json": self.manifest,
            "upload.event": self.upload.extra or b"",
            "upload.tlog-proof": self.upload.format(),
        }
        if self.signer is not None:
            files["signer.tlog-proof"] = self.signer.format()
        files |= {f"policy-{code}.txt": text for code, text in self.policies.items()}
        files |= {f"anchor-{code}.tlog-proof": one.format() for code, one in self.anchors.items()}
        files |= {f"growth-{code}.txt": body for code, body in self.growths.items()}
        return files | {f"change-{one.index}.tlog-proof": one.format() for one in self.changes}

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> Proof:
        """The proof in files; those of other names are none of its parts.

        Raises:
            Missing: a part is not there.
            DecodeError: a part is malformed; nothing is verified.
        """

        def named(pattern: re.Pattern[str]) -> dict[str, bytes]:
            found = ((pattern.fullmatch(name), name) for name in files)
            return {match[1]: files[name] for match, name in found if match}

        for name in ("genesis.note", "manifest.json", "upload.event", "upload.tlog-proof"):
            if name not in files:
                raise Missing(f"proof file {name}", "a part of the proof", "none")
        signer = files.get("signer.tlog-proof")
        changes = (TlogProof.parse(data) for data in named(_CHANGE).values())
        proof = cls(
            genesis=files["genesis.note"],
            manifest=files["manifest.json"],
            upload=TlogProof.parse(files["upload.tlog-proof"]),
            signer=None if signer is None else TlogProof.parse(signer),
            changes=tuple(sorted(changes, key=lambda change: change.index)),
            growths=named(_GROWTH),
            anchors={code: TlogProof.parse(data) for code, data in named(_ANCHOR).items()},
            policies=named(_POLICY),
        )
        if proof.upload.extra != files["upload.event"]:
            raise DecodeError("upload.tlog-proof extra", "the bytes of upload.event", "others")
        return proof

    def encoded(self) -> bytes:
        """The files in one JSON object, as the API gives it: names and base64."""
        files = {name: format_base64(data) for name, data in sorted(self.files().items())}
        return json.dumps({"format": FORMAT, "files": files}).encode()

    @classmethod
    def decode(cls, data: bytes) -> Proof:
        """
        Raises:
            DecodeError: not such an object, or too long.
            Missing: a part is not there.
        """
        files = parse_bundle(data, FORMAT, "proof").get("files")
        if not isinstance(files, dict):
            raise DecodeError("proof", "files", "none")
        for name, text in files.items():
            if not isinstance(text, str):
                raise DecodeError(f"proof file {name}", "base64", type(text).__name__)
        return cls.of_files({name: parse_base64(text, name) for name, text in files.items()})


def parse_bundle(data: bytes, form: str, where: str) -> dict[str, Any]:
    """The JSON object that such a file is; ``form`` is its ``format``.

    Raises:
        DecodeError: not such an object, or longer than PROOF_BYTES_MAX.
    """
    if len(data) > PROOF_BYTES_MAX:
        raise DecodeError(where, f"at most {PROOF_BYTES_MAX} bytes", len(data))
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DecodeError(where, "JSON", str(error)[:80]) from error
    if not isinstance(value, dict) or value.get("format") != form:
        raise DecodeError(where, f"an object of format {form}", "another")
    return value


def encode_proofs(proofs: Sequence[Proof]) -> list[Any]:
    """The member ``proofs`` of a bundle."""
    return [json.loads(proof.encoded()) for proof in proofs]


def decode_proofs(
    bundle: Mapping[str, Any], least: int, most: int, where: str
) -> tuple[Proof, ...]:
    """
    Raises:
        DecodeError: not ``least`` to ``most`` proofs, or what one of them is not.
        Missing: a part of one is not there.
    """
    proofs = bundle.get("proofs")
    if not isinstance(proofs, list) or not least <= len(proofs) <= most:
        got = len(proofs) if isinstance(proofs, list) else type(proofs).__name__
        raise DecodeError(where, f"{least} to {most} proofs", got)
    return tuple(Proof.decode(json.dumps(proof).encode()) for proof in proofs)


def entry_of(proof: TlogProof) -> bytes:
    """
    Raises:
        ProofError: the proof does not carry its entry.
    """
    if proof.extra is None:
        raise ProofError("tlog-proof", "the entry in its extra line", "no extra line")
    return proof.extra
