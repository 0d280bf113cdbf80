"""Every line of the document has a case, and every case a line that is there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from clients.conformance import driver as drivers
from clients.conformance.ends import CODES
from clients.conformance.known import environment
from clients.conformance.table import BEHAVIOUR, Case, cases, lines_of, problems

from userline.users.errors import ErrorCode

if TYPE_CHECKING:
    from clients.conformance.world import World

LINES = lines_of(BEHAVIOUR.read_text())


def test_every_line_has_a_case_and_every_case_a_line() -> None:
    assert len(LINES) >= 45
    assert problems(LINES, cases()) == []


async def _nothing(_: World) -> None: ...


def _case(*lines: int) -> Case:
    return Case(f"of {lines}", "some", lines, frozenset(), _nothing)


@pytest.mark.parametrize(
    ("text", "table", "wrong"),
    [
        ("1. One\n2. Two\n", [_case(1), _case(2)], []),
        ("1. One\n\n    not a line: 2. Two\n", [_case(1)], []),
        ("1. One\n2. Two\n", [_case(1)], ["Line 2 has no case."]),
        ("1. One\n", [_case(1, 2)], ["'of (1, 2)' is of line 2, which is not there."]),
        ("1. One\n", [_case(1), _case()], ["'of ()' names no line."]),
        ("1. One\n3. Three\n", [_case(1, 3)], ["The lines are not numbered one after the other."]),
        ("1. One\n1. One\n", [_case(1)], ["The lines are not numbered one after the other."]),
    ],
)
def test_what_is_wrong_between_them_is_found(text: str, table: list[Case], wrong: list[str]) -> None:
    assert problems(lines_of(text), table) == wrong


@pytest.mark.parametrize("client", ["python", "typescript"])
async def test_our_own_drivers_can_do_what_it_takes_for_every_line(request: pytest.FixtureRequest, client: str) -> None:
    command: list[str] = request.getfixturevalue(client)
    async with drivers.running(command, environment(os.environ)) as driver:
        can = driver.abilities | {"real"}
    assert {line for each in cases() if each.needs <= can for line in each.lines} == set(LINES)


@pytest.mark.parametrize("ability", ["browser", "cancel"])
def test_what_one_of_them_cannot_do_the_other_one_can(ability: str) -> None:
    assert any(ability in each.needs for each in cases())


def test_the_codes_of_refusals_are_those_of_the_gateway() -> None:
    assert set(CODES) == {code.value for code in ErrorCode}
