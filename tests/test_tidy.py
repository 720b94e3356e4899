"""House rules that a reader would otherwise have to remember; each failure says file:line and why.

The rules read the files that belong to the project: those git tracks, and new ones it does not
ignore.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import make_parser
from protocol import errors

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("protocol", "ledger", "search_shard", "node", "simulations", "configs")
MIRRORED = ("protocol", "ledger", "search_shard")
MIRRORS = ("unit", "property", "contract")
# Modules that declare and do nothing: their users' tests are their tests.
WITHOUT_MIRROR = {
    "protocol/fetching.py",
    "protocol/limits.py",
    "protocol/ports.py",
    "protocol/errors.py",
    "search_shard/rules/era_table.py",
    "search_shard/rules/place_table.py",
}
LINES_MAX = 500
EMPTY_NAMES = re.compile(r"(utils?|helpers?|common|misc|managers?)")
LATER = re.compile(r"\b(TODO|FIXME|XXX)\b")
# Written in pieces, so that this file does not name what it forbids.
MACHINE = re.compile("/wor" + "k/|/far" + "m/|far" + r"m-|\." + "library")


def project_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [
        ROOT / name for name in sorted(set(listed.split("\0")) - {""}) if (ROOT / name).is_file()
    ]


FILES = project_files()
MODULES = [
    path for path in FILES if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in ROOMS
]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> Iterator[str]:
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a sample of bytes
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                yield f"{short(path)}:{number}: {line.strip()[:100]}"


def complain(rule: str, places: list[str]) -> None:
    if places:
        pytest.fail("\n".join([rule, *places]), pytrace=False)


def test_names_say_what_is_inside() -> None:
    places = [
        f"{short(path)}:1: {part}"
        for path in FILES
        for part in path.relative_to(ROOT).parts
        if EMPTY_NAMES.fullmatch(part.split(".")[0].removeprefix("test_"))
    ]
    complain("a file is named after what it answers, never utils, helpers, common, misc", places)


def test_nothing_is_left_for_later() -> None:
    paths = [path for path in FILES if path != Path(__file__)]
    complain("finish it, or open an issue", list(lines_with(LATER, paths)))


def test_no_path_of_a_machine() -> None:
    complain("the project names no machine's paths", list(lines_with(MACHINE, FILES)))


def test_modules_fit_in_a_head() -> None:
    places = [
        f"{short(path)}:{count}: {count} lines"
        for path in MODULES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    ]
    complain(f"past {LINES_MAX} lines two things live in one room", places)


def test_thinking_modules_have_their_own_tests() -> None:
    places = []
    for path in MODULES:
        inside = path.relative_to(ROOT)
        if inside.parts[0] not in MIRRORED or path.name == "__init__.py":
            continue
        mirror = inside.with_name(f"test_{path.name}")
        if short(path) not in WITHOUT_MIRROR and not any(
            (ROOT / "tests" / kind / mirror).is_file() for kind in MIRRORS
        ):
            places.append(f"{short(path)}:1: no tests/unit/{mirror.as_posix()}")
    complain("every thinking module is covered by its own test file", places)


def test_readmes_show_the_two_commands() -> None:
    places = [
        f"{name}:1: {command}"
        for name in ("README.md", "README.zh.md")
        for command in ("make demo", "make test")
        if command not in (ROOT / name).read_text(encoding="utf-8")
    ]
    complain("a newcomer finds the two commands in the README", places)


def test_links_between_documents_lead_somewhere() -> None:
    link = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")
    places = [
        f"{short(path)}:{number}: {target}"
        for path in FILES
        if path.suffix == ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for target in link.findall(line)
        if not (path.parent / target).exists()
    ]
    complain("a link leads to a file that is there", places)


def error_classes() -> list[type[errors.FangzhiError]]:
    return [
        thing
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.FangzhiError)
    ]


def test_every_error_has_a_code_of_its_own() -> None:
    owners: dict[str, str] = {}
    for cls in error_classes():
        assert "code" in vars(cls), f"{cls.__name__} shares its parent's code"
        assert cls.code not in owners, f"{cls.__name__} and {owners[cls.code]}: {cls.code}"
        owners[cls.code] = cls.__name__


def test_the_spec_explains_every_error() -> None:
    page = (ROOT / "docs" / "spec" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z.]+)` \| `(\w+)` \|", page, re.MULTILINE))
    assert rows == {cls.code: cls.__name__ for cls in error_classes()}


def test_the_glossary_says_each_word_once() -> None:
    page = ROOT / "docs" / "glossary.md"
    owners: dict[str, int] = {}
    places = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("| ") or cells[0] in ("中文", "---"):
            continue
        for word in cells[0].split("、"):
            if not cells[1] or word in owners:
                places.append(f"docs/glossary.md:{number}: {word} (see line {owners.get(word)})")
            owners[word] = number
    assert owners
    complain("one word, one row, with its English", places)


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> dict[str, Any]:
    """Every command, those in groups by both words."""
    found: dict[str, Any] = {}
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for name, one in action.choices.items():
                inner = commands_of(one, f"{before}{name} ")
                found |= inner or {before + name: one}
    return found


def test_readme_names_every_command_and_option() -> None:
    commands = commands_of(make_parser())
    overview = (ROOT / "README.md").read_text("utf-8").split("```")
    listed = "\n".join(block for block in overview if block.startswith("\nfangzhi demo"))
    missing = [name for name in commands if f"fangzhi {name}" not in listed]
    missing += [
        f"{name} {action.option_strings[-1]}"
        for name, command in commands.items()
        for action in command._actions
        if action.option_strings
        and action.dest not in ("help", "json", "token")
        and not any(option in listed for option in action.option_strings)
    ]
    assert not missing, f"README.md does not show {missing}"
