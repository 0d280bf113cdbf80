"""Generates functions that handle each field of the table, without a loop at run time.

What is done for each user who is read or written has nothing to look up then: a loop over the table takes twice the
time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def make_function(parameters: str, expression: str, **names: Any) -> Callable[..., Any]:
    """Return a function of these parameters. ``names`` are what the expression uses.

    The text is made from names of fields and attributes of our own, never from anything that comes from outside.
    """
    function: Callable[..., Any] = eval(f"lambda {parameters}: {expression}", names)  # noqa: S307 - see above
    return function


def written_dict(items: Iterable[tuple[str, str]]) -> str:
    """Return the expression of a dict with these keys, and values that are expressions."""
    return "{" + ", ".join(f"{key!r}: {value}" for key, value in items) + "}"


def written_call(name: str, arguments: Iterable[tuple[str, str]]) -> str:
    """Return the expression of a call with these named arguments, which are expressions."""
    return f"{name}({', '.join(f'{key}={value}' for key, value in arguments)})"
