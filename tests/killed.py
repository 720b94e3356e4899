"""Processes that acknowledge on standard output what they have stored, until kill -9 hits them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def acknowledged_until_killed(program: str, folder: Path, lines: int) -> list[str]:
    """What a child process acknowledged before kill -9 hit it in the middle of its work."""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    seen = [child.stdout.readline() for _ in range(lines)]
    child.send_signal(signal.SIGKILL)
    seen += child.stdout.readlines()
    assert child.wait() == -signal.SIGKILL
    return [line.strip() for line in seen if line.endswith("\n")]
