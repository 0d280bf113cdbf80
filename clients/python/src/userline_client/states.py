"""The states of a subscription: pending, active, unsubscribed or failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeAlias, TypeVar

from userline_client.snapshot import UserSnapshot

if TYPE_CHECKING:
    from userline_client.errors import UserlineError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pending:
    """There is no first snapshot yet."""

    type: Literal["pending"] = field(default="pending", init=False)


@dataclass(frozen=True, slots=True)
class Active(Generic[T]):
    """There is a snapshot. The state stays ``active`` while the connection is lost."""

    latest_snapshot: T
    """In a subscription to a user, ``None`` means that there is no such user."""
    type: Literal["active"] = field(default="active", init=False)


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The subscription was ended by ``unsubscribe()``, or by closing the session."""

    type: Literal["unsubscribed"] = field(default="unsubscribed", init=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The subscription was ended by an error, after which the session does not try again."""

    error: UserlineError
    type: Literal["error"] = field(default="error", init=False)


StateOf: TypeAlias = Pending | Active[T] | Unsubscribed | Failed
"""One of the four states. ``match`` on the class, or a comparison of ``type``, tells them apart."""

SubscriptionState: TypeAlias = StateOf[UserSnapshot | None]
"""The state of a subscription to one user."""
