"""The protocol of a backend of the bus: what carries messages between gateways, and its guarantees.

The tests in ``tests/changes/contract/`` are these promises; ``changes/factory.py`` has the backends by the scheme of
their URLs. What all of them have in common is not theirs: ``changes/rejoining.py`` joins them again, watches that they
are heard, and tells of gaps.
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

    What happened for the same reason has the same ``kind``, whatever the texts say.
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
    """What it is, with its version: "Redis 7.0.15"."""
    seconds_ahead: float | None = None
    """How far its clock is ahead of this machine's; None where this user may not ask."""
    remarks: tuple[tuple[str, str], ...] = ()
    """What should be known of it, each with what to do about it."""


class Link(Protocol):
    """One connection to a bus. After its first failure it is not used again.

    - What is published on a channel is heard by every link that listens to that channel of that bus, this one
      included, until they fail: whole, however large, and whatever bytes it has.
    - Of one publisher, messages on one channel are heard in the order in which they were published.
    - Nothing is heard that was published before the link was joined.
    - A link that may have missed a message raises, and says nothing more. It never goes on as if nothing were.
    - Only one call of ``publish``, and only one of ``hear``, is under way at a time; the one may run beside the other.
    """

    async def publish(self, channel: str, message: bytes) -> None:
        """Hand a message to the bus, and return when it has it.

        Raises whatever it may when that is refused or fails; the message may have been published all the same.
        Cancelled, it leaves a link that is only good to be closed.
        """

    async def hear(self, seconds: float | None) -> Heard | None:
        """Return the next message, or None if nothing waits to be read and nothing comes in ``seconds``.

        It may return None sooner. Raises whatever it may when the link has failed.
        """

    async def facts(self) -> LinkFacts:
        """Say what is known of the server."""

    async def close(self) -> None:
        """Close every connection, in a second or two whatever state they are in. Never raises."""


class Backend(Protocol):
    """The backend that a URL of a bus names. Making one opens nothing."""

    @property
    def is_shared(self) -> bool:
        """Whether other processes can join it. One that is not never fails, and is not watched."""

    async def join(self, channels: Collection[str]) -> Link:
        """Return a link that listens to these channels from now on. Raises whatever it may, and leaves nothing open.

        Nothing is joined where what one gateway publishes would not reach all others, such as at a replica.
        """

    def explain(self, error: BaseException) -> Explanation:
        """Say what it means that ``join``, ``publish`` or ``hear`` raised this. It has no password in it."""

    async def close(self) -> None:
        """Close what is still open. The links have been closed before."""
