"""The stored user and its immutable public half: an attribute for each field of ``fields.py``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from userline.users.fields import LOOKS
from userline.users.written_out import make_function

if TYPE_CHECKING:
    from collections.abc import Mapping

_looks_alike: Final = make_function(
    "one, other", " and ".join(f"one.{field.attribute} == other.{field.attribute}" for field in LOOKS)
)


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
        is_same: bool = _looks_alike(self, other)
        return is_same


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRecord:
    """A whole user: the snapshot and the private half. Times are Unix milliseconds."""

    snapshot: UserSnapshot
    email: tuple[str, ...]
    phone: tuple[str, ...]
    push_tokens: frozenset[str]
    created_at: int
    updated_at: int

    def at(self, version: int) -> UserRecord:
        """Return the same user with this version."""
        if self.snapshot.version == version:
            return self
        return replace(self, snapshot=replace(self.snapshot, version=version))


@dataclass(frozen=True, slots=True)
class Deletion:
    """That a user was deleted: ``version`` is above every one that the user had, and below what comes after."""

    id: str
    version: int


Change: TypeAlias = UserSnapshot | Deletion
"""What can be told of a user. Two changes of one user are put in order by their versions."""
