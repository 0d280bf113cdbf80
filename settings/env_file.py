"""The lines of an ``.env`` file that would have been settings, and cannot be read as such.

The reader of the file passes over what it cannot read, so that a secret whose quote does not end would be no secret,
and the gateway would run open. The lines of other programs are theirs.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from dotenv.parser import parse_stream

from userline.settings.origins import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

    from dotenv.parser import Binding

_NAME: Final = re.compile(rf"{PREFIX}\w+")

# It would write a line of its own form for each, which may be in the middle of a log of JSON lines.
logging.getLogger("dotenv").setLevel(logging.ERROR)


def unreadable_lines(path: Path) -> list[str]:
    """Return a sentence for each setting of the file that cannot be read; values are not in it. No file is no lines.

    Raises OSError and UnicodeDecodeError.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [f"{path}, line {_line(one)}: {_problem(one)}" for one in parse_stream(file) if _is_unreadable(one)]


def _is_unreadable(binding: Binding) -> bool:
    """Return whether a part of the file names a setting and gives it no value."""
    if binding.error:
        return PREFIX in binding.original.string.upper()
    name = (binding.key or "").upper()
    return PREFIX in name and (binding.value is None or not _NAME.fullmatch(name))


def _line(binding: Binding) -> int:
    """Return the number of the line on which a part of the file begins, without the empty ones before."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _problem(binding: Binding) -> str:
    if binding.error:
        return (
            "This is not NAME=VALUE. A value that begins with a quote ends with the same one, and nothing follows it."
        )
    if binding.value is None:
        return f"{binding.key} has no value. Write {binding.key}=VALUE, or remove the line."
    return f"{binding.key} is not the name of a setting, which is {PREFIX} with letters and underscores."
