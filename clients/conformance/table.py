"""The table: which cases there are, and of which lines of docs/client-behaviour.md."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clients.conformance.world import World

HERE: Final = Path(__file__).resolve().parent
BEHAVIOUR: Final = HERE.parents[1] / "docs" / "client-behaviour.md"
FILES: Final = tuple(sorted(path.stem for path in (HERE / "cases").glob("*.py")))
"""The files of cases, in the order in which they are run."""


_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Case:
    """One case: what is done, of which lines it is, and what a driver has to be able to do for it."""

    name: str
    file: str
    lines: tuple[int, ...]
    needs: frozenset[str]
    run: Callable[[World], Awaitable[None]]


_CASES: Final[dict[str, Case]] = {}


def case(
    *lines: int, needs: str = "", each: tuple[object, ...] = ()
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """Note a case of these lines; its name is that of the function.

    ``needs`` names abilities of drivers, with spaces between them. With ``each``, there is a case for each of them,
    and the function is given it.
    """

    def note(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        file = function.__module__.rpartition(".")[2]
        name = function.__name__.replace("_", " ")

        def add(name: str, run: Callable[[World], Awaitable[None]]) -> None:
            assert name not in _CASES, f"two cases have the name {name!r}"
            _CASES[name] = Case(name, file, lines, frozenset(needs.split()), run)

        if not each:
            add(name, function)
        for one in each:
            label = ", ".join(map(str, one)) if isinstance(one, tuple) else str(one)
            add(f"{name} ({label[:_LONGEST_LABEL]})", lambda world, one=one: function(world, one))  # type: ignore[misc]
        return function

    return note


def cases() -> list[Case]:
    """Return all cases, file by file."""
    for file in FILES:
        importlib.import_module(f"clients.conformance.cases.{file}")
    return sorted(_CASES.values(), key=lambda each: FILES.index(each.file))


def lines_of(text: str) -> list[int]:
    """Return the numbers of the lines of a document such as docs/client-behaviour.md."""
    return [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]


def problems(lines: list[int], table: list[Case]) -> list[str]:
    """Say what is wrong between the lines of a document and the cases of a table."""
    wrong = []
    if lines != list(range(1, len(lines) + 1)):
        wrong.append("The lines are not numbered one after the other.")
    tested = {line for each in table for line in each.lines}
    wrong += [f"Line {line} has no case." for line in lines if line not in tested]
    for each in table:
        wrong += [f"{each.name!r} is of line {line}, which is not there." for line in each.lines if line not in lines]
        if not each.lines:
            wrong.append(f"{each.name!r} names no line.")
    return wrong
