"""The process that reads hostile files: orders on standard input, answers on standard output.

Started with ``draw`` it draws pages, for as long as nobody else wants the processor; else it
inspects files.  It may use 2 GiB of address space, write no file, leave no core, and spend the
named seconds of CPU on an order; it ends when its input does.  An attacker who takes it over can
read what the node's user can read and can lie about the file at hand, but finds no key in memory
and no open link.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import BinaryIO, Final

from node.hands.ingest.draw import Drawer
from node.hands.ingest.findings import Drawn
from node.hands.ingest.inspect import inspect_file
from node.hands.ingest.orders import LENGTH, Order, PageOrder, failed, not_drawn
from protocol.limits import INSPECTION_BYTES_MAX, INSPECTION_MEMORY_BYTES_MAX, REQUEST_BYTES_MAX
from protocol.shapes import pack, unpack

if sys.platform != "win32":
    import resource

_NICENESS: Final = 10
_CPU_SECONDS_SPARE: Final = 2  # so that a deadline is met by the node's clock, not by a signal


def main() -> None:
    """Answer orders until standard input ends."""
    answer: Callable[[bytes], bytes] = _inspected
    if sys.argv[1:] == ["draw"]:
        os.nice(_NICENESS)
        answer = _drawing(Drawer())
    # What a library prints must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _restrict()
    _send(answers, b"")
    while (data := _receive(sys.stdin.buffer)) is not None:
        _send(answers, answer(data))


def _drawing(drawer: Drawer) -> Callable[[bytes], bytes]:
    def drawn(data: bytes) -> bytes:
        order = unpack(PageOrder, data, bytes_max=REQUEST_BYTES_MAX, where="order")
        _allow_cpu(order.seconds_max)
        result: Drawn
        try:
            result = drawer.draw(os.fsdecode(order.path), order.name, order.page, order.mark)
        except Exception as error:  # whatever a file may provoke is said about that page
            result = not_drawn(order.name, order.page, type(error).__name__)
        return pack(result)

    return drawn


def _inspected(data: bytes) -> bytes:
    order = unpack(Order, data, bytes_max=REQUEST_BYTES_MAX, where="order")
    _allow_cpu(order.seconds_max)
    try:
        answer = pack(inspect_file(os.fsdecode(order.path), order.name))
    except Exception as error:  # whatever a file may provoke is said about that file
        return pack(failed(order.name, type(error).__name__))
    if len(answer) > INSPECTION_BYTES_MAX:
        return pack(failed(order.name, f"> {INSPECTION_BYTES_MAX} bytes"))
    return answer


def _restrict() -> None:
    if sys.platform != "win32":
        space = INSPECTION_MEMORY_BYTES_MAX
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _allow_cpu(seconds: int) -> None:
    """So many more seconds of CPU; the system ends the worker when they are spent."""
    if sys.platform != "win32":
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(usage.ru_utime + usage.ru_stime)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + seconds + _CPU_SECONDS_SPARE, hard))


def _receive(stream: BinaryIO) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _send(stream: BinaryIO, data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)) + data)
    stream.flush()


if __name__ == "__main__":
    main()
