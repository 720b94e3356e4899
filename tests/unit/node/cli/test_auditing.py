from __future__ import annotations

import base64
import json

import pytest

from benchmarks.audit import make_network
from node.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network")
    make_network(folder, 700)
    return folder


def run(capsys, *arguments):
    status = main(["audit", *map(str, arguments), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_whole_audit_by_the_command_and_again_where_it_ended(folder, tmp_path, capsys):
    genesis, work, report = folder / "genesis.note", tmp_path / "work", tmp_path / "report.html"
    status, first = run(capsys, folder, "--genesis", genesis, "--work", work, "--report", report)
    assert (status, first["ok"], first["findings"]) == (0, True, [])
    assert sum(log["size"] for log in first["logs"]) >= 700
    assert "全部核验通过" in report.read_text("utf-8")
    status, again = run(capsys, folder, "--genesis", genesis, "--work", work)
    assert (status, again) == (0, first)


def test_two_folders_that_contradict_each_other(folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    make_network(other, 700, seed=2)  # the same keys, other words
    status, result = run(capsys, folder, other, "--genesis", folder / "genesis.note")
    assert status == 1
    assert {each["code"] for each in result["findings"]} == {"log.contradiction", "log.fork"}
    assert all(base64.b64decode(data) for data in result["evidence"].values())
