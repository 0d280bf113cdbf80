"""Joining a PostgreSQL: one connection that listens and publishes."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from userline.changes.postgres.answers import ClosedError, NotPostgresError, StandbyError, explain
from userline.changes.postgres.parts import Assembly, name_of, parts_of
from userline.changes.postgres.url import hosts_of
from userline.changes.protocol import Heard, LinkFacts

if TYPE_CHECKING:
    from collections.abc import Collection

    from userline.changes.protocol import Explanation

PATIENCE_SECONDS: Final = 1.5
"""How long connecting may take."""

_CLOSE_SECONDS: Final = 0.5

_TLS_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""Source: PostgreSQL's documentation, "Message Formats", SSLRequest."""

_NOTIFY: Final = "SELECT pg_notify($1, $2)"
_FACTS: Final = (
    "SELECT current_setting('server_version'), extract(epoch FROM clock_timestamp())::float8, "
    "pg_notification_queue_usage()"
)
_FULL: Final = 0.1


class PostgresBackend:
    """A database of a PostgreSQL server that is not a standby."""

    is_shared: Final = True

    def __init__(self, url: str) -> None:
        self._url = url

    async def join(self, channels: Collection[str]) -> _PostgresLink:
        """Connect, and listen to the channels."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for host, port in hosts_of(self._url):
                await _greet(host, port)
        connection = await asyncpg.connect(
            self._url, timeout=PATIENCE_SECONDS, server_settings={"application_name": "userline"}
        )
        link = _PostgresLink(connection, channels)
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        return link

    def explain(self, error: BaseException) -> Explanation:
        """Say what a failure means."""
        return explain(error)

    async def close(self) -> None:
        """Nothing is open."""


async def _greet(host: str, port: int) -> None:
    """Raise NotPostgresError if something else answers there.

    Without TLS asyncpg does not ask, and bytes that are no PostgreSQL's can have asyncpg 0.32 go round in a circle for
    ever, with the whole event loop.
    """
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return  # asyncpg says why
    try:
        writer.write(_TLS_REQUEST)
        answer = await reader.read(1)
    except OSError:
        return
    finally:
        writer.close()
    if answer not in {b"", b"S", b"N", b"E"}:
        raise NotPostgresError


class _PostgresLink:
    """One connection publishes and listens, so both reach the same server."""

    def __init__(self, connection: Any, channels: Collection[str]) -> None:
        self._connection = connection
        self._channels = {name_of(channel): channel for channel in channels}
        self._came: asyncio.Queue[tuple[str, str] | Exception] = asyncio.Queue()
        self._assembly = Assembly()
        self._name = secrets.token_hex(8)
        self._numbers = count()

    async def open(self) -> None:
        """Listen. Raises what asyncpg raises."""
        connection = self._connection
        connection.add_termination_listener(self._ended)
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            raise StandbyError
        for name in self._channels:
            await connection.add_listener(name, self._notified)

    async def publish(self, channel: str, message: bytes) -> None:
        name = name_of(channel)
        parts = parts_of(f"{self._name}-{next(self._numbers):x}", message)
        try:
            if len(parts) == 1:
                await self._connection.execute(_NOTIFY, name, parts[0])
            else:
                # One transaction: all or nothing, and nothing between them.
                await self._connection.executemany(_NOTIFY, [(name, part) for part in parts])
        except asyncpg.InternalClientError as error:
            # What asyncpg comes to when the server has ended the session between two commands.
            raise ClosedError from error

    async def hear(self, seconds: float | None) -> Heard | None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    came = await self._came.get()
                    if isinstance(came, Exception):
                        raise came
                    name, payload = came
                    message = self._assembly.add(name, payload)
                    if message is not None:
                        return Heard(self._channels[name], message)
        except TimeoutError:
            return None

    async def facts(self) -> LinkFacts:
        asked = time.time()
        version, shown, used = await self._connection.fetchrow(_FACTS)
        answered = time.time()
        ahead = 0.0 if asked <= shown <= answered else shown - (asked if shown < asked else answered)
        remarks: tuple[tuple[str, str], ...] = ()
        if used > _FULL:
            remarks = (
                (
                    (
                        f"PostgreSQL's queue of notifications is {used:.0%} full: a process that listens does not read "
                        "any more."
                    ),
                    "End that process; the log of PostgreSQL names it. When the queue is full, no gateway can publish.",
                ),
            )
        return LinkFacts(f"PostgreSQL {version}", ahead, remarks)

    async def close(self) -> None:
        connection = self._connection
        connection.remove_termination_listener(self._ended)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await connection.close()
        except Exception:  # noqa: BLE001 - whatever is in its way, the connection goes
            connection.terminate()

    def _notified(self, _connection: object, _process: int, name: str, payload: str) -> None:
        self._came.put_nowait((name, payload))

    def _ended(self, _connection: object) -> None:
        self._came.put_nowait(ClosedError())
