"""Whole users for the tests of stores and of what moves users."""

from dataclasses import replace
from types import MappingProxyType

from userline.users.record import UserRecord, UserSnapshot

NEWER = 1_800_000_000_000
"""A version that is above the clock of the tests."""


def record_of(user_id: str, *, version: int = NEWER, **public: object) -> UserRecord:
    """Return a record with something in every field."""
    snapshot = UserSnapshot(
        id=user_id,
        version=version,
        name="Alice",
        custom=MappingProxyType({"z": "1", "a.b": "$2", "": "\0"}),
        locale="de",
        photo_url="https://example.com/a.png",
        role="agent",
        welcome_message="Hello\n",
    )
    return UserRecord(
        snapshot=replace(snapshot, **public),  # type: ignore[arg-type]
        email=("a@example.com", "b@example.com"),
        phone=("+14155552671",),
        push_tokens=frozenset({"fcm:1", "apns:2"}),
        created_at=1_600_000_000_000,
        updated_at=1_650_000_000_000,
    )
