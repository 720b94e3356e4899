"""How much does an idle node cost?  Resident memory and cold start, for 1 and for many offices.

    python benchmarks/footprint.py [--offices N …] [--runs N]

A home is founded in a temporary folder and served on free ports.  *Cold start* is the wall time
from starting the process to its first answer on /healthz; *idle* is the resident memory after ten
seconds without a question.  Aim: under 5 s and under 150 MB for one office.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from configs.offices import load

FANGZHI = [sys.executable, "-m", "node.cli.main"]
IDLE_SECONDS = 10.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_home(root: Path, offices: int) -> str:
    """A home: a founding province, or a province's copy hosting a city and its counties."""
    url = f"127.0.0.1:{free_port()}"
    subprocess.run(
        [
            *FANGZHI,
            "init",
            str(root),
            "--office",
            "320000",
            "--found",
            "bench.example",
            "--peer-listen",
            f"127.0.0.1:{free_port()}",
            "--web-listen",
            url,
        ],
        check=True,
        capture_output=True,
    )
    if offices == 1:
        return f"http://{url}"
    city = root.with_name("city")
    codes = [row.code for row in load("jiangsu") if row.tier != "province"][: offices - 1]
    web = f"127.0.0.1:{free_port()}"
    subprocess.run(
        [
            *FANGZHI,
            "init",
            str(city),
            *(word for code in codes for word in ("--office", code)),
            "--request",
            str(root / "request"),
            "--web-listen",
            web,
        ],
        check=True,
        capture_output=True,
    )
    for arguments in (
        ["admit", str(root), "--request", str(root / "request"), "--invite", str(root / "invite")],
        ["join", str(city), "--invite", str(root / "invite")],
    ):
        subprocess.run([*FANGZHI, *arguments], check=True, capture_output=True)
    return f"http://{web}"


def measure(root: Path, url: str) -> tuple[float, float]:
    """(seconds to the first answer, idle MB)."""
    begun = time.monotonic()
    process = subprocess.Popen([*FANGZHI, "serve", str(root)], stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{url}/healthz", timeout=1):
                    break
            except OSError:
                time.sleep(0.02)
        started = time.monotonic() - begun
        time.sleep(IDLE_SECONDS)
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    finally:
        process.terminate()
        process.wait(10)
    return started, int(kib) * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--offices", type=int, nargs="+", default=[1, 12, 50])
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print("offices  cold start s (median)  idle MB (median)")
    for offices in options.offices:
        folder = Path(tempfile.mkdtemp())
        try:
            url = make_home(folder / "home", offices)
            home = folder / ("home" if offices == 1 else "city")
            results = [measure(home, url) for _ in range(options.runs)]
        finally:
            shutil.rmtree(folder)
        starts, sizes = zip(*results, strict=True)
        print(f"{offices:7}  {median(starts):21.2f}  {median(sizes):16.1f}")


if __name__ == "__main__":
    main()
