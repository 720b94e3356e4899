"""Does a test speak when a line is wrong?  ``python -m tests.mutants.run [--seed N] [--count N]``.

Draws faults of one operator each (cosmic-ray's: a comparison, a number, a condition, a loop, ...)
in the modules of ``ledger``, ``protocol`` and ``node/office``, and runs for each the unit tests
that mirror or import the module, in a copy of the project.  A mutant that only changes what
nothing executes (annotations, docstrings) is not drawn.  Prints one line per mutant and then the
difference of each that survived; ``--numbers 3 17`` runs only those of the draw again.

The rooms come in turns; then a module, a kind of operator, an operator and its place are drawn, so
that comparisons (ten mutants each) and tables of numbers do not drown the rest.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.provider import OperatorProvider

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("ledger", "protocol", "node/office")
DECLARED = ("protocol/limits.py", "protocol/ports.py", "protocol/fetching.py")  # nothing runs
NEED_ARGUMENTS = ("VariableReplacer", "VariableInserter")
CPU_SECONDS_MAX = 240
WALL_SECONDS_MAX = 900


@dataclass(frozen=True, slots=True)
class Mutant:
    module: str
    operator: str
    occurrence: int
    source: str
    mutated: str

    @property
    def difference(self) -> str:
        lines = [text.splitlines() for text in (self.source, self.mutated)]
        told = list(difflib.unified_diff(*lines, n=1, lineterm=""))
        return "\n".join(told[2:])


def draw(room: str, chance: Random) -> Mutant:
    operators = OperatorProvider()
    kinds: dict[str, list[str]] = {}
    for name in sorted(set(operators) - set(NEED_ARGUMENTS)):
        kinds.setdefault(name.partition("_")[0], []).append(name)
    modules = sorted(path for path in (ROOT / room).glob("*.py") if path.name != "__init__.py")
    while True:
        path, name = chance.choice(modules), chance.choice(kinds[chance.choice(list(kinds))])
        module = path.relative_to(ROOT).as_posix()
        if module in DECLARED or not tests_of(module):
            continue
        source = path.read_text("utf-8")
        places = occurrences(source, name)
        if not places:
            continue
        occurrence = chance.randrange(places)
        mutated = MutationVisitor.mutate_code(source, operators[name](), occurrence)
        try:
            same = executed(mutated) == executed(source)
        except SyntaxError:
            continue
        if not same:
            return Mutant(module, name, occurrence, source, mutated)


def occurrences(source: str, operator: str) -> int:
    class Count(MutationVisitor):
        def visit(self, node: object) -> object:
            self._count += sum(1 for _ in self.operator.mutation_positions(node))
            return node

    from cosmic_ray.ast import get_ast

    counted = Count(0, OperatorProvider()[operator]())
    counted.walk(get_ast(source))
    return counted._count


def executed(source: str) -> str:
    """The program without what no run looks at."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def tests_of(module: str) -> list[str]:
    """The unit tests that mirror or import ``module``, the mirror first."""
    name = module.removesuffix(".py").replace("/", ".")
    package, _, last = name.rpartition(".")
    wanted = re.compile(
        rf"^\s*(from {re.escape(name)} import|from {re.escape(package)} import .*\b{last}\b)", re.M
    )
    mirror = ROOT / "tests" / "unit" / Path(module).with_name(f"test_{last}.py")
    near = sorted((ROOT / "tests" / "unit" / Path(module).parent).glob("test_*.py"))
    found = [path for path in near if wanted.search(path.read_text("utf-8")) and path != mirror]
    return [path.relative_to(ROOT).as_posix() for path in ([mirror] if mirror.is_file() else found)]


def copy_project(folder: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.split("\0")
    built = [path.relative_to(ROOT).as_posix() for path in ROOT.glob("search_shard/*.so")]
    for name in [*filter(None, listed), *built]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


def judge(mutant: Mutant, folder: Path, python: str) -> str:
    file = folder / mutant.module
    file.write_text(mutant.mutated, "utf-8")
    command = [python, "-m", "pytest", "-x", "-q", *tests_of(mutant.module)]

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX))

    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=WALL_SECONDS_MAX,
            preexec_fn=bounded,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "killed: hangs"
    finally:
        file.write_text(mutant.source, "utf-8")
    if done.returncode == 0:
        return "SURVIVED"
    speaking = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    return f"killed by {speaking[1] if speaking else done.returncode}"


def drawn(seed: int, count: int) -> Iterator[tuple[int, Mutant]]:
    chance, mutants = Random(seed), dict[Mutant, None]()  # each once
    while len(mutants) < count:
        mutants[draw(ROOMS[len(mutants) % len(ROOMS)], chance)] = None
    return enumerate(mutants)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--numbers", type=int, nargs="*", help="only these of the draw")
    parser.add_argument("--python", default=sys.executable, help="what runs the tests")
    options = parser.parse_args()
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        for number, mutant in drawn(options.seed, options.count):
            if options.numbers is not None and number not in options.numbers:
                continue
            verdict = judge(mutant, Path(folder), options.python)
            told = f"{mutant.module} {mutant.operator} {mutant.occurrence}"
            print(f"{number:3} {told}: {verdict}", flush=True)
            if verdict == "SURVIVED":
                survivors.append((number, mutant))
                print(mutant.difference, flush=True)
    print(f"{len(survivors)} survived: {' '.join(str(number) for number, _ in survivors)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
