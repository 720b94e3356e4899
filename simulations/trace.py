"""What happened, one readable line per event, and one hash of it all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Trace:
    """Lines like ``   12.250000 320500 dial to=320000:7000``; ``seconds`` is the loop's time."""

    def __init__(
        self, seconds: Callable[[], float], show: Callable[[str], object] | None = None
    ) -> None:
        """``show`` (for example ``print``) is given every line as it happens."""
        self.lines: list[str] = []
        self._seconds = seconds
        self._show = show
        self._sha256 = hashlib.sha256()

    def record(self, actor: str, event: str, **facts: object) -> None:
        """Add a line.  Facts must read the same in every run: no addresses of objects, no sets."""
        words = [f"{self._seconds():12.6f}", actor, event]
        line = " ".join(words + [f"{name}={fact}" for name, fact in facts.items()])
        self.lines.append(line)
        self._sha256.update(line.encode() + b"\n")
        if self._show:
            self._show(line)

    @property
    def digest(self) -> str:
        """SHA-256 of all lines so far, hexadecimal."""
        return self._sha256.hexdigest()
