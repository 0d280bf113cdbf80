"""Every line of docs/client-behaviour.md has a test, and every public name says what it is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import userline_client

TESTS = Path(__file__).parent
LIST = TESTS.parents[2] / "docs" / "client-behaviour.md"


def test_every_line_has_a_test_and_every_test_a_line() -> None:
    lines = [int(number) for number in re.findall(r"^(\d+)\. ", LIST.read_text(), re.MULTILINE)]
    assert lines == list(range(1, len(lines) + 1))
    marks = [re.findall(r"mark\.behaviour\(([\d, ]+)\)", path.read_text()) for path in TESTS.glob("test_*.py")]
    tested = {int(number) for marks_of_file in marks for mark in marks_of_file for number in mark.split(",")}
    assert tested == set(lines)


@pytest.mark.parametrize("name", [name for name in userline_client.__all__ if name not in ("UNSET", "OnNeedToken")])
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(userline_client, name)
    if not inspect.isclass(public):
        return  # an alias of types
    assert public.__doc__
    assert not public.__doc__.startswith(f"{name}("), "made by dataclass"
    for member_name, member in inspect.getmembers(public):
        if member_name.startswith("_") or member_name not in vars(public):
            continue
        if inspect.isfunction(member) or isinstance(member, property):
            assert member.__doc__, f"{name}.{member_name}"
