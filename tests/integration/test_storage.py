"""The files of a running node moved to an object store and back, through the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.hands.storage.file_blobs import listing
from tests.objects import KEYS, new_bucket, object_store

PROVINCE = "320000"


def test_a_node_serves_from_wherever_its_files_lie(
    bare_network: Any,
    cli: Callable[..., tuple[int, dict[str, Any], str]],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, home = bare_network, bare_network.root / PROVINCE
    network.place(PROVINCE)
    network.init(PROVINCE, "--found", "fzb.test.example")
    network.up(PROVINCE)
    package = folder / "package"
    package.mkdir()
    page, scan = package / "页.txt", package / "扫描.bin"
    page.write_text("苏州府志卷一" * 20)
    scan.write_bytes(b"\1\2\3\4" * 100_000)
    shas = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (page, scan)}
    status, _, said = cli("report", home, package, "--title", "苏州府志")
    assert status == 0, said
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    assert cli("storage", "move", home, "s3://x/y", "--endpoint", "http://127.0.0.1:9")[0] == 2
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS[1])

    def check(name: str) -> None:
        status, shown, _ = cli("storage", "show", home)
        files = {shelf["name"]: shelf["files"] for shelf in shown["shelves"]}
        assert (status, shown["now"], shown["moving"]) == (0, name, False)
        assert files.pop(name) >= 4
        assert sum(files.values()) == 0
        for path, sha in shas.items():
            again = folder / "again"
            status, _, said = cli("fetch", sha, "--node", home, "-o", again)
            assert status == 0, said
            assert again.read_bytes() == path.read_bytes()
            again.unlink()

    with object_store() as endpoint:
        bucket = new_bucket(endpoint)
        move = ("storage", "move", home)
        where = ("--endpoint", endpoint, "--region", bucket.region)
        assert cli(*move, "s3://absent/x", *where)[0] == 3
        assert cli(*move, "vault", *where)[0] == 2
        check("folder")
        assert cli(*move, bucket.url, *where)[0] == 0
        check(bucket.url)
        assert list(listing(home / "blobs")) == []
        network[PROVINCE].stop()
        network[PROVINCE].start()
        check(bucket.url)
        assert cli("doctor", home)[1]["ailments"] == []
        later = folder / "later.txt"
        later.write_text("苏州府志卷二" * 20)
        status, _, said = cli("report", home, later, "--title", "苏州府志续编")
        assert status == 0, said
        shas[later] = hashlib.sha256(later.read_bytes()).hexdigest()
        check(bucket.url)
        assert cli(*move, "folder")[0] == 0
    check("folder")

    # cards that cannot be read: the node does not start, and the doctor makes them again
    assert cli("doctor", home, "--repair")[1]["ailments"] == []
    network[PROVINCE].stop()
    with (home / "vault" / "data.mdb").open("r+b") as cards:
        cards.write(b"?" * 8192)  # the two pages with which it begins
    assert cli("doctor", home)[1]["problem"]["code"].startswith("store")
    (found,) = cli("doctor", home, "--repair")[1]["ailments"]
    assert found["code"] == "store.cards"
    assert cli("doctor", home)[1]["ailments"] == []
    check("folder")
