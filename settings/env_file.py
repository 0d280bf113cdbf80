"""Finds lines of an ``.env`` file that look like settings and cannot be read.

The reader of the file passes over what it cannot read, so that a secret whose quote does not end would be no secret,
and the gateway would run open. The lines of other programs are theirs.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Final

from dotenv.parser import parse_stream
from dotenv.variables import Variable, parse_variables

from userline.settings.origins import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Binding
    from dotenv.variables import Atom

_VARIABLE: Final = re.compile(r"[A-Z_]\w*")
_MENTION: Final = re.compile(rf"(?<!\w){PREFIX}")
"""A setting's name in a line, and not within that of another variable, such as ``VITE_USERLINE_URL``."""

_NO_ASSIGNMENT: Final = (
    "This is not NAME=VALUE. A value that begins with a quote ends with the same one, and nothing follows it."
)

# It would write a line of its own form for each, which may be in the middle of a log of JSON lines.
logging.getLogger("dotenv").setLevel(logging.ERROR)


def unreadable_lines(path: Path) -> list[str]:
    """Return a sentence for each setting of the file that cannot be read; values are not in it. No file is no lines.

    Raises OSError and UnicodeDecodeError.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        bindings = list(parse_stream(file))
    found = []
    known = set(os.environ)
    for binding in bindings:
        if problem := _problem(binding, known):
            found.append(f"{path}, line {_line(binding)}: {problem}")
        if binding.key:
            known.add(binding.key)
    return found


def _line(binding: Binding) -> int:
    """Return the number of the line on which a part of the file begins, without the empty ones before."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _problem(binding: Binding, known: set[str]) -> str | None:
    """Return what is wrong with a part of the file, which may name the variables ``known``; None is nothing of ours."""
    if binding.error:
        return _NO_ASSIGNMENT if _MENTION.search(binding.original.string.upper()) else None
    name = (binding.key or "").upper()
    is_variable = _VARIABLE.fullmatch(name) is not None
    if not (name.startswith(PREFIX) if is_variable else PREFIX in name):
        return None
    if not is_variable:
        return f"{binding.key} is not the name of a setting, which is {PREFIX} with letters and underscores."
    if binding.value is None:
        return f"{binding.key} has no value. Write {binding.key}=VALUE, or remove the line."
    if any(_is_missing(part, known) for part in parse_variables(binding.value)):
        # Which one is not said: it may be a part of a password.
        return (
            f"In the value of {binding.key}, ${{…}} stands for a variable, between quotes too, and it is not set. Set "
            "it above, or give the value by the environment or a file."
        )
    return None


def _is_missing(part: Atom, known: set[str]) -> bool:
    return isinstance(part, Variable) and part.default is None and part.name not in known
