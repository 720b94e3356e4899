"""What the demonstration tells people, and what it found: steps, checks, figures, bars.

Everything for people goes to standard error, Chinese first; bars only on a terminal.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from node.cli.reaching import console
from protocol.errors import FangzhiError

Json = dict[str, Any]

FIGURE_CHARS_MAX: Final = 100


class Broken(FangzhiError):
    """A command of the demonstration did not do what the show needs to go on."""

    code = "demo.broken"


@dataclass(slots=True)
class Screen:
    """Collects steps and checks while it shows them."""

    steps: list[Json] = field(default_factory=list)
    checks: list[Json] = field(default_factory=list)
    broken: bool = False  # a step could not be shown at all: what follows builds on it

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)

    @contextmanager
    def step(self, code: str, zh: str, en: str) -> Iterator[None]:
        """A part of the show, timed.  If it breaks off, that is a check that did not hold."""
        console.print(f"\n[bold]▍{zh}[/] [dim]{en}[/]", highlight=False)
        started = time.monotonic()
        try:
            yield
        except (FangzhiError, ExceptionGroup, KeyError, IndexError, OSError) as error:
            self.broken = True
            self.check(code, zh, en, False, error="; ".join(_causes(error)))
        seconds = round(time.monotonic() - started, 2)
        self.steps.append({"code": code, "zh": zh, "en": en, "seconds": seconds})
        console.print(f"  [dim]{seconds} s[/]", highlight=False)

    def check(self, code: str, zh: str, en: str, ok: bool, **figures: Any) -> bool:
        """Show and record whether something held."""
        self.checks.append({"code": code, "zh": zh, "en": en, "ok": ok, "figures": figures})
        console.print(f"  [{'green' if ok else 'red'}]{'✓' if ok else '✗'}[/] ", end="")
        shown = "，".join(f"{name} {_short(value, ok)}" for name, value in figures.items())
        console.print(f"{zh} · {en}：{shown}", markup=False, highlight=False, soft_wrap=True)
        return ok

    def say(self, text: str) -> None:
        console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        """Bars on a terminal; elsewhere one plain line when a bar is full."""
        with Progress(
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not sys.stderr.isatty(),
        ) as progress:
            yield Bars(self, progress)


@dataclass(frozen=True, slots=True)
class Bars:
    screen: Screen
    progress: Progress

    def add(self, words: str, total: int) -> Callable[[], None]:
        """A new bar; call what is returned once for every thing that is done."""
        task = self.progress.add_task(words, total=total)
        done = 0

        def advance() -> None:
            nonlocal done
            done += 1
            self.progress.advance(task)
            if done == total and self.progress.disable:
                self.screen.say(f"{words} {done}/{total}")

        return advance


def _short(value: Any, ok: bool) -> str:
    """A figure as people see it; of what went wrong they see all."""
    text = str(value)
    return text if not ok or len(text) <= FIGURE_CHARS_MAX else f"{text[:FIGURE_CHARS_MAX]}…"


async def until(what: str, holds: Callable[[], Any], seconds: float, every_s: float = 0.1) -> float:
    """Ask ``holds`` (a coroutine function) until it says yes; how many seconds that took.

    Raises:
        Broken: it did not within ``seconds``.
    """
    started = time.monotonic()
    while not await holds():
        if time.monotonic() - started > seconds:
            raise Broken("demo", what, f"not within {seconds} s")
        await asyncio.sleep(every_s)
    return round(time.monotonic() - started, 2)


def _causes(error: BaseException) -> list[str]:
    """What went wrong, in words; a group of errors is each of its members."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for member in error.exceptions for cause in _causes(member)]
    return [f"{type(error).__name__}: {error}"]
