"""Users as JSON values, under the contract's names (``photoUrl``, ``pushTokens``, …)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from userline.users.record import UserSnapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.users.record import UserRecord


def snapshot_to_json(snapshot: UserSnapshot) -> dict[str, Any]:
    """Return the public half, without its version."""
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "custom": dict(snapshot.custom),
        "locale": snapshot.locale,
        "photoUrl": snapshot.photo_url,
        "role": snapshot.role,
        "welcomeMessage": snapshot.welcome_message,
    }


def snapshot_from_json(value: Mapping[str, Any], version: int) -> UserSnapshot:
    """Return the snapshot that :func:`snapshot_to_json` made ``value`` from. Raises KeyError or TypeError."""
    custom = value["custom"]
    if not isinstance(custom, dict) or not all(isinstance(item, str) for item in custom.values()):
        raise TypeError("custom is not a map of strings.")
    for name in ("id", "name", "role"):
        if not isinstance(value[name], str):
            raise TypeError(f"{name} is not a string.")
    for name in ("locale", "photoUrl", "welcomeMessage"):
        if not isinstance(value[name], str | None):
            raise TypeError(f"{name} is neither a string nor null.")
    return UserSnapshot(
        id=value["id"],
        version=version,
        name=value["name"],
        custom=MappingProxyType(custom),
        locale=value["locale"],
        photo_url=value["photoUrl"],
        role=value["role"],
        welcome_message=value["welcomeMessage"],
    )


def record_to_json(record: UserRecord) -> dict[str, Any]:
    """Return the whole record: the public half, the private half and the times."""
    value = snapshot_to_json(record.snapshot)
    value["email"] = list(record.email)
    value["phone"] = list(record.phone)
    value["pushTokens"] = dict.fromkeys(sorted(record.push_tokens), True)
    value["createdAt"] = record.created_at
    value["updatedAt"] = record.updated_at
    return value


def encoded_size(record: UserRecord) -> int:
    """Return the size that the limit on a whole record counts: bytes of its compact JSON form in UTF-8."""
    return len(orjson.dumps(record_to_json(record)))
