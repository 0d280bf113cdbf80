"""Reads JSON for every transport: numbers stay exact, and flaws such as lone surrogates are reported with their place.

orjson is fast, and has three ways that do not fit: it refuses all of a text for one number that overflows or one half
of a surrogate pair, which may be in one operation of many, and it reads -0 as 0, which is another id. Texts with such a
value are read again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NamedTuple

import orjson

from userline.common.json_strings import STRINGS

MOST_CONTAINERS: Final = 50_000
"""How many objects and lists a text may begin: 1 MiB has room for half a million, which hold everybody for long."""

MOST_SEPARATORS: Final = 100_000
"""How many commas and colons it may have outside of strings: 1 MiB has room for values of more than 20 MiB."""

_MOST_QUOTES: Final = 100_000
"""How many quotation marks a text may have that has more separators than that, and is looked at more closely."""

_READ_AGAIN: Final = ("number is infinity", "no low surrogate", "invalid low surrogate", "invalid high surrogate")
"""How orjson begins to say that a number overflows, or that a string has half of a surrogate pair."""

_MINUS_ZERO: Final = re.compile(rb"[\[,:\s]-0[,\]}\s]")
_MOST_VALUES: Final = 65_536
"""How many values a text may have that is read again, which takes some times as long."""

_LONGEST_PLACE: Final = 200


class JSONRefused(ValueError):
    """A text that is not valid JSON, or too large. The message continues a sentence that begins with its name."""

    def __init__(self, complaint: str, rest: str = ".") -> None:
        super().__init__(complaint + rest)
        self.complaint = complaint
        """The same in few words, and without a full stop."""


class Reread(dict[str, Any]):
    """An object of a text that was read a second time to find its flaw."""


class Flaw(NamedTuple):
    """A value that JSON does not allow, and its place."""

    path: list[str | int]
    complaint: str

    @property
    def place(self) -> str:
        """Where it is, as one writes it: ``variables.ids[3]``."""
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path).removeprefix(".")
        return _shown(place)

    @property
    def field(self) -> str:
        """The name of the member of the whole that it is in."""
        return _shown(str(self.path[0]))


def _shown(text: str) -> str:
    """Return a text as it can be sent: not too long, and without halves of surrogate pairs."""
    return text[:_LONGEST_PLACE].encode(errors="replace").decode()


_INVALID: Final = "is not valid JSON"

_OVERFLOWS: Final = "is a number that overflows"
_HALF: Final = "has a lone surrogate, which is not a valid character"
_HALF_IN_NAME: Final = "has a name with a lone surrogate, which is not a valid character"

_DIGITS: Final = len(str(2**64))


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text. Raises JSONRefused, and before any of it is made where that would be too much.

    A whole number within 64 bits is an int, and any other number a float, infinite if it overflows; a string may have
    halves of surrogate pairs. Then the objects of the text are ``Reread``.
    """
    if (limit := excess(data)) is not None:
        raise JSONRefused(f"has more than {limit}, which is the limit")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        # An exception that a frame refers to, which is a part of its traceback, would be garbage for the collector.
        if not error.msg.startswith(_READ_AGAIN):
            raise JSONRefused(_INVALID, f": {error}") from None
        why = str(error)
    else:
        if not _has_minus_zero(data):
            return value
        why = str(orjson.JSONDecodeError("the number -0 is not read in a text of this length", "", 0))
    return _decode_slowly(data, why)


def excess(data: bytes | str) -> str | None:
    """Return what there is too much of in a text, and how much there may be, before any of it is made; None if nothing.

    Objects and lists in strings count as well.
    """
    if len(data) <= MOST_CONTAINERS:
        return None
    if isinstance(data, str):
        data = data.encode(errors="surrogatepass")
    if data.count(b"[") + data.count(b"{") > MOST_CONTAINERS:
        return f"{MOST_CONTAINERS} of '[' and '{{'"
    if _separators(data) > MOST_SEPARATORS:
        # Written text is full of commas. Looking for the strings takes long only if there are very many.
        if data.count(b'"') - data.count(b'\\"') > _MOST_QUOTES:
            return f"{_MOST_QUOTES // 2} strings"
        if _separators(STRINGS.sub(b"", data)) > MOST_SEPARATORS:
            return f"{MOST_SEPARATORS} of ',' and ':' outside of strings"
    return None


def _separators(data: bytes) -> int:
    return data.count(b",") + data.count(b":")


def _has_minus_zero(data: bytes | str) -> bool:
    """Whether there is a number -0 in sound JSON. Hardly any text goes beyond the first look."""
    if isinstance(data, str):
        if "-0" not in data:
            return False
        data = data.encode()
    elif b"-0" not in data:
        return False
    return bool(_MINUS_ZERO.search(data)) and bool(_MINUS_ZERO.search(STRINGS.sub(b'""', data)))


def _decode_slowly(data: bytes | str, why: str) -> Any:
    """Return the value as Python's own decoder reads it. Raises JSONRefused, which says ``why`` orjson refuses it."""
    try:
        return _read_again(data if isinstance(data, str) else data.decode())
    except (ValueError, RecursionError):
        raise JSONRefused(_INVALID, f": {why}") from None


def _read_again(text: str) -> Any:
    """Return the value. Raises ValueError, and RecursionError if it is nested too deeply."""
    if text.count(",") + text.count("[") + text.count("{") > _MOST_VALUES:
        raise ValueError("There are too many values.")
    value = json.loads(text, parse_int=_read_int, parse_constant=_refuse, object_hook=Reread)
    find_flaw(value)  # finds what is nested too deeply
    return value


def find_flaw(value: Any) -> Flaw | None:
    """Return the first flaw in a value, or None."""
    if isinstance(value, dict):
        for name, item in value.items():
            if _has_half(name):
                return Flaw([name], _HALF_IN_NAME)
            if found := find_flaw(item):
                found.path.insert(0, name)
                return found
    elif isinstance(value, list):
        for number, item in enumerate(value):
            if found := find_flaw(item):
                found.path.insert(0, number)
                return found
    elif isinstance(value, float):
        return Flaw([], _OVERFLOWS) if math.isinf(value) else None
    elif isinstance(value, str) and _has_half(value):
        return Flaw([], _HALF)
    return None


def _has_half(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _read_int(digits: str) -> int | float:
    if len(digits) <= _DIGITS and digits != "-0":
        number = int(digits)
        if -(2**63) <= number < 2**64:
            return number
    return float(digits)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON.")
