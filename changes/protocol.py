"""The protocol of a backend of the bus: what carries messages between gateways, and its guarantees.

The tests in ``tests/changes/contract/`` check these guarantees. ``changes/factory.py`` has the backends by the scheme
of their URLs. ``changes/rejoining.py`` does the same for all of them: it joins them again, checks that messages are
received, and reports gaps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection


class NotHeardError(Exception):
    """A published message was not received."""


class NotJoinedError(Exception):
    """Nothing can be published before the bus is joined."""


class Heard(NamedTuple):
    """A message, and the channel that it came on."""

    channel: str
    message: bytes


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a bus cannot be used: a sentence without its full stop, and an advice.

    Explanations of the same reason have the same ``kind``, even if their texts differ.
    """

    kind: str
    text: str
    advice: str

    def __str__(self) -> str:
        return f"{self.text}. {self.advice}"


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """Facts about the server that a link is connected to."""

    server: str
    """The server and its version, such as "Redis 7.0.15"."""
    seconds_ahead: float | None = None
    """How many seconds its clock is ahead of this machine's; None if the user has no right to read it."""
    remarks: tuple[tuple[str, str], ...] = ()
    """Remarks about the server: pairs of a sentence and an advice."""


class Link(Protocol):
    """One connection to a bus. After its first failure it is not used again.

    - Every link that listens to a channel, also this one, receives each message published on it, until the link fails.
      A message is received complete, whatever its size and its bytes are.
    - Messages of one publisher on one channel are received in the order in which they were published.
    - A link receives no message that was published before it was joined.
    - A link that may have missed a message raises, and returns no further message.
    - At most one call of ``publish`` and one call of ``hear`` are under way at a time; both may run at the same time.
    - It is closed when no call of ``hear`` is under way. Who calls it after that gets an ``Exception``, as after any
      failure, or hears nothing; never a ``CancelledError``.
    """

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish a message, and return when the bus has accepted it.

        Raises any exception if the bus refuses it, or on a failure; the message may still have been published. After a
        cancellation the link can only be closed.
        """

    async def hear(self, seconds: float | None) -> Heard | None:
        """Return the next message, or None if none comes within ``seconds``.

        It may return None sooner. Raises any exception if the link has failed.
        """

    async def facts(self) -> LinkFacts:
        """Return the facts about the server."""

    async def close(self) -> None:
        """Close every connection, within two seconds, whatever their state is. Never raises."""


class Backend(Protocol):
    """The backend that a URL of a bus names. Making one opens nothing."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes can join it. A backend that is not shared never fails, and is not checked."""

    async def join(self, channels: Collection[str]) -> Link:
        """Return a link that listens to these channels from now on. If it raises, nothing stays open.

        It also raises if messages would not reach all gateways there, such as at a replica.
        """

    def explain(self, error: BaseException) -> Explanation:
        """Explain an exception of ``join``, ``publish`` or ``hear``, without passwords."""

    async def close(self) -> None:
        """Release what is still open. The links are closed already."""
