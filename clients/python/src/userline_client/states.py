"""What a subscription can be: pending, active, unsubscribed or failed."""

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
    """It is known what is watched. Of a user, ``latest_snapshot`` is ``None`` if there is no such user.

    The state stays so while the network is away.
    """

    latest_snapshot: T
    type: Literal["active"] = field(default="active", init=False)


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """Ended by ``unsubscribe()``, or by closing the session."""

    type: Literal["unsubscribed"] = field(default="unsubscribed", init=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """Ended by an error that trying again would not help."""

    error: UserlineError
    type: Literal["error"] = field(default="error", init=False)


StateOf: TypeAlias = Pending | Active[T] | Unsubscribed | Failed
"""One of the four; ``match`` on the class or on ``type`` narrows it."""

SubscriptionState: TypeAlias = StateOf[UserSnapshot | None]
"""That of a subscription to a user."""
