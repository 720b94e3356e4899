"""Bad input and bad days, at real processes: what to do is said, nothing is lost or half-stored."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fpdf import FPDF

from node.hands.storage.file_blobs import listing

CITY, COUNTY, COUNTY2, ABSENT = "320500", "320581", "320582", "320583"
Cli = Callable[..., tuple[int, dict[str, Any], str]]
NO_MOUNT = "cannot mount a small tmpfs here (not root): full-disk test not run"


def a_pdf() -> bytes:
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    pdf.cell(text="a page of some length" * 20)
    return bytes(pdf.output())


def no_pages() -> bytes:
    parts = [
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n",
    ]
    data, table = b"%PDF-1.4\n", b"xref\n0 3\n0000000000 65535 f \n"
    for part in parts:
        table += b"%010d 00000 n \n" % len(data)
        data += part
    start = len(data)
    return data + table + b"trailer<</Size 3/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start


FILES: dict[str, tuple[str, bytes, str, str]] = {
    "empty": ("a.pdf", b"", "Q001", "重新导出"),
    "no pages": ("a.pdf", no_pages(), "Q103", "重新导出"),
    "truncated": ("a.pdf", a_pdf()[:500], "Q102", "重新拷贝"),
    "newline": ("a\nb.txt", b"x", "Q401", "改名"),
    "gb18030": ("a.txt", "常熟县志建置沿革".encode("gb18030") * 30, "Q201", "UTF-8"),
    "not a pdf": ("a.pdf", b"\0" * 5000, "Q004", "重新导出"),
}


@pytest.fixture
def unchanged(network: Any) -> Iterator[Any]:
    """The county, of which log, blobs and staging folder must be as before."""
    server = network[COUNTY]

    def content() -> tuple[object, ...]:
        blobs = sorted(blob for blob, _, _ in listing(server.home / "blobs"))
        staged = sorted((server.home / "staging").iterdir())
        return server.status()["logs"][COUNTY][0], server.status()["spooled"], blobs, staged

    def settled() -> bool:
        """What tests before this one set going has come to its end."""
        size = server.status()["logs"][COUNTY][0]
        time.sleep(0.4)
        return bool(server.status()["logs"][COUNTY][0] == size)

    network.until(settled)
    before = content()
    yield server
    assert content() == before
    assert "Traceback" not in server.said()


def api(server: Any, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """One request over the home's socket, by hand: the command line would not send this."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(server.home / "socket"))
        head = f"{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        line.sendall(head.encode() + data)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest or b"{}")


def package(*files: tuple[str, int]) -> dict[str, Any]:
    listed = [{"path": path, "size": size} for path, size in files]
    return {"record": {"title": "志"}, "rights": "open", "files": listed}


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_with_the_cure(
    name: str, unchanged: Any, cli: Cli, folder: Path
) -> None:
    path, data, code, cure = FILES[name]
    package = folder / "package"
    package.mkdir()
    (package / path).write_bytes(data)
    status, answer, said = cli("report", unchanged.home, package)
    (report,) = answer["reports"]
    assert (status, report["status"]) == (1, "refused")
    assert code in {finding["code"] for finding in report["findings"]}
    assert cure in said
    assert code in said


def test_names_that_lead_out_of_the_package(unchanged: Any) -> None:
    for path in ("../../etc/passwd", "/etc/passwd", "a/../../b", "a\nb", "a\0b", "C:\\x"):
        status, answer = api(unchanged, "POST", "/api/v1/reports", package((path, 3)))
        assert (status, answer["status"], answer["report"]) == (200, "refused", "")
        assert [finding["code"] for finding in answer["findings"]] == ["Q401"]


def test_a_submission_interrupted_half_way(unchanged: Any) -> None:
    _, begun = api(unchanged, "POST", "/api/v1/reports", package(("a.bin", 4_000_000)))
    path = f"/api/v1/reports/{begun['report']}"
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(unchanged.home / "socket"))
        head = (
            f"PATCH {path}/files/0 HTTP/1.1\r\nHost: node\r\nTus-Resumable: 1.0.0\r\n"
            "Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
        )
        line.sendall(f"{head}Content-Length: 4000000\r\n\r\n".encode() + bytes(2_000_000))
        time.sleep(0.3)
    status, answer = api(unchanged, "POST", f"{path}/submit", {})
    assert (status, "a.bin" in answer["detail"]) == (422, True)
    deadline = time.monotonic() + 10
    while api(unchanged, "GET", path, {})[1]["files"][0]["offset"] < 2_000_000:
        assert time.monotonic() < deadline, "what came before the cut is not here"
        time.sleep(0.1)
    assert api(unchanged, "DELETE", path, {})[0] == 204
    assert list((unchanged.home / "staging").iterdir()) == []


def test_a_huge_sparse_file(unchanged: Any, cli: Cli, folder: Path) -> None:
    """Larger than a file may be, and larger than the disk: refused before a byte is read."""
    for size, expected in ((2**40, "68719476736"), (60 * 2**30, "above the reserve")):
        if size < 2**36 and shutil.disk_usage(folder).free > size:
            continue
        path = folder / f"{size}.bin"
        with path.open("wb") as file:
            file.truncate(size)
        began = time.monotonic()
        status, _, said = cli("report", unchanged.home, path)
        assert status in (2, 3)
        assert expected in said
        assert time.monotonic() - began < 5


def test_a_large_sparse_file_streams(network: Any, cli: Cli, folder: Path) -> None:
    server = network[COUNTY]
    before = server.status()["resident_bytes"]
    with (folder / "scan.bin").open("wb") as file:
        file.truncate(300 * 2**20)
    status, answer, said = cli("report", server.home, folder / "scan.bin", "--rights", "office")
    assert status == 0, said
    assert answer["reports"][0]["status"] == "submitted"
    assert server.status()["resident_bytes"] - before < 64 * 2**20


def test_the_same_file_under_two_names(network: Any, cli: Cli, folder: Path) -> None:
    server = network[COUNTY]
    for name in ("甲.txt", "乙.txt"):
        (folder / name).write_text("同一内容")
    first = cli("report", server.home, folder / "甲.txt")[1]["reports"][0]
    network.until(
        lambda: cli("fetch", first["item"], "--node", server.home, "-o", folder / "x")[0] == 0
    )
    status, answer, said = cli("report", server.home, folder / "乙.txt")
    assert (status, answer["reports"][0]["status"]) == (0, "submitted")
    assert "Q011" in said
    assert first["item"] in said
    assert "--item" in said


def test_queries_of_every_kind(network: Any, cli: Cli, folder: Path) -> None:
    server = network[COUNTY]
    rare = "𠮷野家𪚥𫠣"
    (folder / "rare.txt").write_text(f"卷一 {rare} 😀 虞山 {'x' * 50}")
    item = cli("report", server.home, folder / "rare.txt")[1]["reports"][0]["item"]

    def items(query: str) -> set[str]:
        status, answer, said = cli("search", query, "--node", server.home)
        assert status == 0, said
        return {hit["item"] for hit in answer["hits"]}

    network.until(lambda: items(rare) == {item})
    for query in ("𪚥", "😀", "虞", "x"):
        assert item in items(query), query
    assert items("👨‍👩‍👧‍👦") == items("𰻝") == set()
    for query, cure in (("常" * 10_000, "300"), ("", "QUERY"), ("  ", "1 to 300")):
        status, answer, said = cli("search", query, "--node", server.home)
        assert status in (1, 2)
        assert cure in said
        assert answer["problem"]["status"] < 500
    status, _, said = cli("search", "，。！", "--node", server.home)
    assert (status, "at least one character" in said) == (1, True)


def serve(home: Path) -> tuple[int, str]:
    """``fangzhi serve`` that is expected to end by itself: exit status and last words."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "serve", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_a_second_process_on_the_same_home(unchanged: Any) -> None:
    status, said = serve(unchanged.home)
    assert status == 3
    assert f"process {unchanged.process.pid}" in said
    assert len(said.splitlines()) == 2, "what it is, and where"


@pytest.fixture
def stopped_copy(network: Any, folder: Path) -> Path:
    """A home that nobody serves."""
    return Path(shutil.copytree(network[ABSENT].home, folder / "home"))


def test_a_port_in_use(network: Any, stopped_copy: Path) -> None:
    config = stopped_copy / "node.toml"
    text = config.read_text()
    for section, taken in (("web", network[COUNTY].web), ("peer", network[CITY].peer)):
        own = network[ABSENT].web if section == "web" else ""
        old, new = f'[{section}]\nlisten = "{own}"', f'[{section}]\nlisten = "{taken}"'
        assert old in text
        config.write_text(text.replace(old, new))
        status, said = serve(stopped_copy)
        assert status == 3
        assert taken in said
        assert f"[{section}] listen in node.toml" in said
        assert "Traceback" not in said


def test_a_home_of_a_newer_format(stopped_copy: Path, cli: Cli) -> None:
    (stopped_copy / "FORMAT").write_text("2\n")
    before = sorted(path.stat().st_mtime_ns for path in stopped_copy.rglob("*"))
    status, said = serve(stopped_copy)
    assert (status, "install that version or a later one" in said) == (2, True)
    for command in (("status", stopped_copy), ("doctor", stopped_copy)):
        status, _, said = cli(*command)
        assert (status, "a newer fangzhi wrote it" in said) == (2, True)
    assert sorted(path.stat().st_mtime_ns for path in stopped_copy.rglob("*")) == before


def test_a_mistyped_key(stopped_copy: Path) -> None:
    with (stopped_copy / "node.toml").open("a") as config:
        config.write("reserv_mib = 5\n")
    status, said = serve(stopped_copy)
    assert (status, "did you mean reserve_mib?" in said) == (2, True)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(NO_MOUNT)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk(network: Any, small_disk: Path, cli: Cli, folder: Path) -> None:
    server = network[ABSENT]
    home = server.home
    server.home = Path(shutil.copytree(home, small_disk / "home"))
    server.start()
    try:
        network.until(lambda: server.status()["gate"] == {ABSENT: "open"})
        (folder / "a.txt").write_text("满盘之前")
        assert cli("report", server.home, folder / "a.txt")[0] == 0
        size = server.status()["logs"][ABSENT][0]

        (folder / "big.bin").write_bytes(bytes(200_000_000))
        status, _, said = cli("report", server.home, folder / "big.bin")
        assert (status, "above the reserve" in said) == (3, True)

        junk = small_disk / "junk"
        with suppress(OSError), junk.open("wb") as file:  # until there is no space left
            while True:
                file.write(bytes(2**16))
        (folder / "b.txt").write_text("满盘")
        status, _, said = cli("report", server.home, folder / "b.txt")
        assert status == 3
        assert "room" in said
        network.until(lambda: server.status()["logs"][ABSENT][0] == size)
        # other offices go on, and this one bears it
        (folder / "c.txt").write_text("邻县")
        assert cli("report", network[COUNTY].home, folder / "c.txt")[0] == 0
        time.sleep(2)
        assert server.process.poll() is None, server.said()
        assert list((server.home / "staging").iterdir()) == []

        junk.unlink()
        network.until(lambda: cli("report", server.home, folder / "b.txt")[0] == 0)
        sizes = network[COUNTY].status()["logs"]
        network.until(lambda: server.status()["logs"][COUNTY][0] >= sizes[COUNTY][0])
        assert cli("doctor", server.home)[1]["ailments"] == []
    finally:
        server.stop()
        server.home = home
