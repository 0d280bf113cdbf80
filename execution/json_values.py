"""JSON as every door reads it: numbers are exact, or can be told to be not.

orjson is fast, and has two ways that do not fit: it refuses all of a text for one number that overflows, which may be
in one operation of a batch, and it reads -0 as 0, which is another id. Texts with such a number are read again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson

JSONDecodeError = orjson.JSONDecodeError

_OVERFLOW: Final = "number is infinity"
"""How orjson says that a number overflows."""

_MINUS_ZERO: Final = re.compile(rb"[\[,:\s]-0[,\]}\s]")
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_MOST_BYTES: Final = 262_144
"""How long a text may be that is read again, which takes some times as long."""


class Reread(dict[str, Any]):
    """An object of a text that was read again: it may have infinite numbers, which are none of JSON's."""


_DIGITS: Final = len(str(2**64))


def decode(data: bytes | str) -> Any:
    """Return the value of a JSON text. Raises JSONDecodeError.

    A whole number within 64 bits is an int, and any other number a float, infinite if it overflows. Then the objects of
    the text are ``Reread``.
    """
    try:
        value = orjson.loads(data)
    except JSONDecodeError as error:
        if not error.msg.startswith(_OVERFLOW):
            raise
        return _decode_slowly(data, error)
    if _has_minus_zero(data):
        return _decode_slowly(data, JSONDecodeError("the number -0 is not read in a text of this length", "", 0))
    return value


def _has_minus_zero(data: bytes | str) -> bool:
    """Whether there is a number -0 in sound JSON. Hardly any text goes beyond the first look."""
    if isinstance(data, str):
        if "-0" not in data:
            return False
        data = data.encode()
    elif b"-0" not in data:
        return False
    return bool(_MINUS_ZERO.search(data)) and bool(_MINUS_ZERO.search(_STRINGS.sub(b'""', data)))


def _decode_slowly(data: bytes | str, refusal: JSONDecodeError) -> Any:
    """Return the value as Python's own decoder reads it, or raise the refusal where orjson would refuse it, too."""
    if len(data) > _MOST_BYTES:
        raise refusal
    try:
        text = data if isinstance(data, str) else data.decode()
        value = json.loads(text, parse_int=_read_int, parse_constant=_refuse, object_hook=Reread)
        orjson.dumps(value)  # refuses lone surrogates, and what is nested too deeply
    except (ValueError, TypeError, RecursionError):
        raise refusal from None
    return value


def find_overflow(value: Any, place: str) -> str | None:
    """Return the place of the first infinite number in a value that is itself at ``place``, or None."""
    if isinstance(value, float):
        return place if math.isinf(value) else None
    inside: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inside = [(f"{place}.{key}" if place else key, item) for key, item in value.items()]
    elif isinstance(value, list):
        inside = [(f"{place}[{number}]", item) for number, item in enumerate(value)]
    return next((found for there, item in inside if (found := find_overflow(item, there)) is not None), None)


def _read_int(digits: str) -> int | float:
    if len(digits) <= _DIGITS and digits != "-0":
        number = int(digits)
        if -(2**63) <= number < 2**64:
            return number
    return float(digits)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON.")
