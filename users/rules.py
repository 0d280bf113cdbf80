"""The rules for users of this deployment: limits and roles."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_ROLE = "default"

MAX_IDS = 1000
"""The most ids that one list of them has, in whatever is asked for."""

MAX_ID_CHARACTERS = 255
MAX_NAME_CHARACTERS = 255
MAX_ROLE_CHARACTERS = 255
MAX_LOCALE_CHARACTERS = 255
MAX_URL_CHARACTERS = 2083
MAX_EMAIL_CHARACTERS = 254
MAX_PHONE_CHARACTERS = 250
"""No number is longer, however it is written; libphonenumber reads no longer one."""

MAX_LIST_ENTRIES = 100
"""The most entries of a list that has no limit of its own."""

MAX_PATCH_KEYS = 1000
"""The most keys of one patch of a map, or twice as many as a user may have where that is more: a patch also removes."""


def most_patch_keys(most: int) -> int:
    """Return how many keys one patch of a map may have, where a user may have ``most``."""
    return max(MAX_PATCH_KEYS, 2 * most)


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a user may be. Each limit is a setting of the gateway."""

    record_bytes: int = 64 * 1024
    """Size of the whole record, in bytes of its compact JSON form in UTF-8."""
    custom_keys: int = 100
    push_tokens: int = 100
    emails: int = 20
    phones: int = 20


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that inputs are checked against."""

    limits: Limits = field(default_factory=Limits)
    roles: frozenset[str] | None = None
    """The configured roles, or None where any role is accepted."""
