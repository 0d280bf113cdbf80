"""One connection that publishes, and knows after each publication whether a master took it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from userline.changes.redis.answers import QUESTIONS, check_role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

_NOT_UNDERSTOOD: Final = ("unknown command", "wrong number of arguments")


async def ask_role(connection: AbstractConnection) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the question that Redis answers, and what it says. Raises what ``check_role`` does.

    Where it answers none, to this user or at all, the question is empty and its role is not known.
    """
    for question in QUESTIONS:
        await connection.send_command(*question)
        try:
            answer = await connection.read_response()
        except ResponseError as error:
            if _is_refusal(error):
                continue
            raise
        return question, check_role(answer)
    return (), {}


def _is_refusal(error: ResponseError) -> bool:
    return isinstance(error, NoPermissionError) or any(words in str(error) for words in _NOT_UNDERSTOOD)


class Publisher:
    """Publishes on a connection of its own, which is never opened again: what failed once is of no use any more.

    ``question`` is what Redis answers when it is asked for its role, as ``ask_role`` has found out; without one, it
    counts as a master.
    """

    def __init__(self, client: Redis) -> None:
        self._connection: AbstractConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        self.question: tuple[str, ...] = ()

    async def open(self) -> None:
        """Connect. Raises what redis-py raises."""
        await self._connection.connect()  # type: ignore[no-untyped-call]

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish, and return when a master has it. Whatever it raises, it may have been published all the same."""
        connection = self._connection
        commands: list[tuple[str | bytes, ...]] = [("PUBLISH", channel, message)]
        if self.question:
            # Asked after it, in one packet: had it been no master by then, it would say so.
            commands.append(self.question)
        await connection.send_packed_command(connection.pack_commands(commands))
        await connection.read_response()
        if self.question:
            check_role(await connection.read_response())

    async def ask(self, *words: str) -> Any:
        """Return what Redis answers to a command. Raises what redis-py raises."""
        await self._connection.send_command(*words)
        return await self._connection.read_response()

    async def close(self) -> None:
        """Close the connection."""
        with suppress(RedisError, OSError, TimeoutError):
            await self._connection.disconnect(nowait=True)
