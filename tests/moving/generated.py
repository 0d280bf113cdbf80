"""Any number of different users, made quickly and always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tests.users.samples import DEFAULTS
from userline.users.fields import FIELDS

if TYPE_CHECKING:
    from pathlib import Path

_LOCALES = ("en", "de", "pt-BR", "zh-Hant-TW", None)
_NAMES = ("Alice", "Zoë", "李雷", "Ольга", "نور", "Ana María", "👩‍🚀 Sam")
_ODD_IDS = ("a/b.c${}", "ключ {}", "🙂{}", " {} ", "%{}")
# In the order of a line; a field that is not set below has its default.
_ABSENT = dict.fromkeys(field.name for field in FIELDS) | DEFAULTS


def user(number: int) -> dict[str, Any]:
    """Return the fields of a user, under the names of the contract."""
    odd = number % 10 == 0
    user_id = _ODD_IDS[number // 10 % len(_ODD_IDS)].replace("{}", str(number)) if odd else f"user-{number:08}"
    return _ABSENT | {
        "id": user_id,
        "name": f"{_NAMES[number % len(_NAMES)]} {number}",
        "custom": {f"k{index}.$": str(number * index) for index in range(number % 4)},
        "locale": _LOCALES[number % len(_LOCALES)],
        "photoUrl": f"https://example.com/{number}.png" if number % 3 else None,
        "role": "agent" if number % 50 == 0 else "default",
        "welcomeMessage": "Hello\n" * (number % 3) or None,
        "email": [f"user{number}@example.com"] if number % 2 else [],
        "phone": [f"+1415555{number % 10_000:04}"] if number % 5 == 0 else [],
        "pushTokens": {f"fcm:{number}": True} if number % 4 == 0 else {},
        "createdAt": 1_500_000_000_000 + number,
        "updatedAt": 1_600_000_000_000 + number,
        "version": 4_000_000_000_000 + number % 9,  # above any clock, so that an import keeps it
    }


def write_users(path: Path, count: int) -> bytes:
    """Write a file of users as an export of them would be, and return what is in it."""
    lines = [(value["id"], orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)) for value in map(user, range(count))]
    data = b"".join(line for _, line in sorted(lines))
    path.write_bytes(data)
    return data
