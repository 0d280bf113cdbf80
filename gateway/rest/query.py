"""The parameters of REST addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from userline.directory.users import MAX_PAGE
from userline.gateway.query_string import parameters_in
from userline.users.errors import BadUserInput, Problem

if TYPE_CHECKING:
    from starlette.requests import Request

DEFAULT_LIMIT: Final = 10

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


def no_parameters(request: Request) -> None:
    """Raise BadUserInput if the address has any parameter: a misspelt one must not go unnoticed."""
    _parameters(request, ())


def page_of(request: Request) -> tuple[int, str | None]:
    """Return ``limit`` and ``startingAfter``. Raises BadUserInput; whether there can be such an id is not checked."""
    given = _parameters(request, ("limit", "startingAfter"))
    limit = given.get("limit", str(DEFAULT_LIMIT))
    if not _NUMBER.fullmatch(limit) or not 1 <= int(limit) <= MAX_PAGE:
        raise BadUserInput([Problem("limit", f"limit must be a whole number from 1 to {MAX_PAGE}.")])
    return int(limit), given.get("startingAfter")


def _parameters(request: Request, known: tuple[str, ...]) -> dict[str, str]:
    problems = []
    given: dict[str, str] = {}
    for name, value in _pairs(request.scope["query_string"]):
        if name not in known:
            problems.append(Problem(name, f"{name} is not a parameter of this address."))
        elif name in given:
            problems.append(Problem(name, f"{name} must occur once, not several times."))
        given[name] = value
    if problems:
        raise BadUserInput(problems)
    return given


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parameters_in(query)
    except ValueError as error:
        raise BadUserInput([Problem("query", str(error))]) from None
