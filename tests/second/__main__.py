"""``python -m tests.second FOLDER GENESIS``: the second opinion on a folder made by export."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.second.network import Check
from tests.second.values import Bad


def main(folder: str, genesis: str) -> int:
    try:
        check = Check(Path(folder), Path(genesis).read_bytes())
    except Bad as error:
        print(f"genesis: {error}")
        return 1
    for office, index, code in check.places:
        print(office, index, code)
    sizes = {code: log.size for code, log in check.logs.items()}
    print(f"{len(sizes)} logs, {sum(sizes.values())} entries, {len(check.places)} findings")
    return 1 if check.places else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
