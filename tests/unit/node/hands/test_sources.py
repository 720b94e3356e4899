"""A folder's evidence: what the standard objects in it say, and never an exception for rubbish."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evidence import Evidence
from ledger.tlogproof import MAGIC
from node.hands.sources import FolderSource
from protocol.limits import EVIDENCE_BYTES_MAX

COUNTY = "320581"
NOTES, PROOF = Evidence(b"a", b"other"), Evidence(b"a", MAGIC.encode() + b"proof")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "log").mkdir()
    return tmp_path


def put(folder: Path, evidence: Evidence, office: str = COUNTY, name: str = "00") -> Path:
    home = folder / "evidence" / office / name
    home.mkdir(parents=True)
    for each, data in evidence.files().items():
        (home / each).write_bytes(data)
    return home


def test_both_kinds_of_evidence_are_given(folder: Path) -> None:
    put(folder, NOTES, name="00")
    put(folder, PROOF, name="01")
    given = FolderSource(folder).evidence()
    assert given == [(COUNTY, NOTES.encoded()), (COUNTY, PROOF.encoded())]


def test_what_is_no_evidence_is_left_out(folder: Path) -> None:
    put(folder, NOTES, office="nobody")
    put(folder, Evidence(b"a", b"b" * EVIDENCE_BYTES_MAX), name="long")
    (put(folder, NOTES, name="half") / "b.checkpoint").unlink()
    assert FolderSource(folder).evidence() == []


def test_lost_tails_stand_beside_what_witnesses_keep(folder: Path) -> None:
    for path in (f"witness/320500/{COUNTY}", f"evidence/{COUNTY}/lost/12.checkpoint"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(path.encode())
    kept = FolderSource(folder).witnessed(COUNTY, "")
    assert set(kept) == {"320500", "lost 12"}
    assert kept["lost 12"] == f"evidence/{COUNTY}/lost/12.checkpoint".encode()
