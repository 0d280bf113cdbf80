"""A full user, an empty one, and how the tests of this room make and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from userline.users.codec import record_to_json
from userline.users.fields import GIVEN
from userline.users.kinds import TO_JSON, Kind
from userline.users.patch import apply, parse_new_user, parse_patch
from userline.users.rules import Rules

if TYPE_CHECKING:
    from userline.users.record import UserRecord

RULES = Rules()
FIELDS = tuple(field.name for field in GIVEN)

_EXAMPLES: dict[Kind, Any] = {Kind.TEXT: "x", Kind.LIST: ["x"], Kind.MAP: {"x": "y"}, Kind.KEYS: {"x": True}}
FULL: dict[str, Any] = {field.name: _EXAMPLES[field.kind] for field in GIVEN} | {
    "name": "Alice",
    "custom": {"team": "blue", "a.b": "1", "$set": "2", "": "3", "👩🏽‍🚀": "4"},
    "locale": "pt-BR",
    "photoUrl": "https://example.com/a.png",
    "role": "agent",
    "welcomeMessage": "Hi",
    "email": ["a@example.com"],
    "phone": ["+14155552671"],
    "pushTokens": {"fcm:a.b": True, "apns:$": True},
}
DEFAULTS: dict[str, Any] = {
    field.name: TO_JSON.get(field.kind, lambda value: value)(field.default) for field in GIVEN if not field.is_required
}


def create(new: dict[str, Any], rules: Rules = RULES) -> UserRecord:
    return apply(parse_new_user(new, rules), None, user_id="alice", now=1000, rules=rules)


def change(before: UserRecord, patch: dict[str, Any], *, now: int = 2000, rules: Rules = RULES) -> UserRecord:
    return apply(parse_patch(patch, rules), before, user_id="alice", now=now, rules=rules)


def content(record: UserRecord) -> dict[str, Any]:
    value = record_to_json(record)
    return {name: value[name] for name in FIELDS}
