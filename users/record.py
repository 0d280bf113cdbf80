"""The stored user and its immutable public half."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSnapshot:
    """The public half of a user at one version. Immutable; ``custom`` is a read-only mapping.

    ``version`` grows with every write that changed anything of the record, as :mod:`userline.users.versions` says, so
    two snapshots of one user can be put in order by it. Nothing but that order is to be read from it.
    """

    id: str
    version: int
    name: str
    custom: Mapping[str, str]
    locale: str | None
    photo_url: str | None
    role: str
    welcome_message: str | None
    encodings: dict[object, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What was made of the snapshot to be sent, by what it was made for. Whoever fills it keeps it small."""

    def looks_like(self, other: UserSnapshot) -> bool:
        """Whether everybody would see the same in both, whatever their versions."""
        return (
            self.name == other.name
            and self.custom == other.custom
            and self.locale == other.locale
            and self.photo_url == other.photo_url
            and self.role == other.role
            and self.welcome_message == other.welcome_message
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A whole user: the snapshot and the private half. Times are Unix milliseconds."""

    snapshot: UserSnapshot
    email: tuple[str, ...]
    phone: tuple[str, ...]
    push_tokens: frozenset[str]
    created_at: int
    updated_at: int
