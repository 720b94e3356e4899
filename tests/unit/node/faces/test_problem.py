from __future__ import annotations

import pytest

from node.faces.problem import TABLE, error_from, exit_status, http_status, problem_document
from node.office.answers import Finding
from protocol import errors
from protocol.errors import FangzhiError

CLASSES = [
    cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, FangzhiError)
]


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_crosses_http_and_stays_itself(cls: type[FangzhiError]) -> None:
    error = cls("page", "a page from 1 to 3", 9)
    document = problem_document(error)
    again = error_from(document)
    assert type(again) is cls
    assert str(again) == str(error)
    assert exit_status(again) == exit_status(error)
    assert document["status"] == http_status(error)


def test_statuses_follow_the_specification() -> None:
    exits = {cls.__name__: exit_status(cls("a", "b", "c")) for cls in CLASSES}
    assert {name for name, status in exits.items() if status == 1} == {
        "ProofError",
        "ForkError",
        "LostTailError",
        "KeyMismatch",
        "Rejected",
        "Forbidden",
    }
    assert {name for name, status in exits.items() if status == 2} == {
        "ConfigError",
        "DecodeError",
    }
    assert set(exits.values()) == {1, 2, 3}
    assert all(400 <= status < 600 for status, _ in TABLE.values())


def test_findings_travel_with_a_rejection() -> None:
    found = (Finding("Q001", "error", "a.pdf", "文件为空。", "The file is empty."),)
    document = problem_document(errors.Rejected("report", "a sound package", found))
    assert document["findings"][0]["zh"] == "文件为空。"
    assert error_from(document).got == found


def test_an_unknown_code_is_still_an_error() -> None:
    error = error_from({"code": "of.the.future", "detail": "?"})
    assert type(error) is FangzhiError
    assert exit_status(error) == 3
