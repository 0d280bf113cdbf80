"""How often a command went out: a driver that gets no answer sends it once more by itself, and does not say so.

MongoDB knows a command that comes again by its transaction number, and gives the answer that was lost. Servers that are
only compatible with it may do it again. A write that is guarded fails then, because it was done before.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pymongo.monitoring import ConnectionPoolListener

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pymongo.monitoring import (
        ConnectionCheckedInEvent,
        ConnectionCheckedOutEvent,
        ConnectionCheckOutFailedEvent,
        ConnectionCheckOutStartedEvent,
        ConnectionClosedEvent,
        ConnectionCreatedEvent,
        ConnectionReadyEvent,
        PoolClearedEvent,
        PoolClosedEvent,
        PoolCreatedEvent,
        PoolReadyEvent,
    )

    from userline.storage.mongo.connection import Connection
    from userline.storage.mongo.documents import Document


@dataclass(slots=True)
class Attempts:
    """How many connections were taken for what was sent meanwhile."""

    count: int = 0


_ATTEMPTS: ContextVar[Attempts | None] = ContextVar("userline-mongo-attempts", default=None)


@contextmanager
def counted_attempts() -> Iterator[Attempts]:
    """Count what goes out for the command that is sent inside."""
    attempts = Attempts()
    token = _ATTEMPTS.set(attempts)
    try:
        yield attempts
    finally:
        _ATTEMPTS.reset(token)


class AttemptsListener(ConnectionPoolListener):
    """What a client is made with, so that attempts are counted."""

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:  # noqa: ARG002 - of all pools
        """Count it."""
        attempts = _ATTEMPTS.get()
        if attempts is not None:
            attempts.count += 1

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """Nothing."""

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """Nothing."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Nothing."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """Nothing."""

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """Nothing."""

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """Nothing."""

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """Nothing."""

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """Nothing."""

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """Nothing."""

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """Nothing."""


async def done_before(
    connection: Connection, documents: Sequence[Document], done: Sequence[bool | Exception], deadline: float
) -> list[bool | Exception]:
    """Return what came of writes that went out more than once: one that failed is done if what it wrote is there.

    Whole documents are compared, with their versions and times. Raises StoreUnavailable.
    """
    failed = {document["_id"]: index for index, document in enumerate(documents) if done[index] is False}
    if not failed:
        return list(done)
    outcomes = list(done)
    for found in await connection.run(lambda driver: driver.find(list(failed)), deadline):
        index = failed[found["_id"]]
        outcomes[index] = documents[index].items() <= found.items()
    return outcomes
