"""One connection that publishes, and checks after each message that a master accepted it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from userline.changes.redis.answers import CLUSTER_QUESTION, ROLE_QUESTIONS, NotClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.asyncio.connection import AbstractConnection

    from userline.changes.redis.answers import Question

_NOT_UNDERSTOOD: Final = ("unknown command", "wrong number of arguments")


async def ask_role(connection: AbstractConnection) -> tuple[Question | None, Mapping[str, str]]:
    """Return the question that Redis answers, and what it says. Raises what ``check_role`` does.

    Where it answers none, to this user or at all, there is no question and its role is not known.
    """
    for question in ROLE_QUESTIONS:
        facts = await _ask(connection, question)
        if facts is not None:
            return question, facts
    return None, {}


async def ask_cluster(connection: AbstractConnection, facts: Mapping[str, str]) -> Question | None:
    """Return the question that a node answers when asked for its cluster; None if this user may not ask.

    ``facts`` are what it has said of its role. Raises NotClusterError, and what ``check_cluster`` does.
    """
    if facts.get("mode", "cluster") != "cluster":
        raise NotClusterError
    return CLUSTER_QUESTION if await _ask(connection, CLUSTER_QUESTION) is not None else None


async def _ask(connection: AbstractConnection, question: Question) -> Mapping[str, str] | None:
    await connection.send_command(*question.words)
    try:
        answer = await connection.read_response()
    except ResponseError as error:
        if _is_refusal(error):
            return None
        raise
    return question.check(answer)


def _is_refusal(error: ResponseError) -> bool:
    return isinstance(error, NoPermissionError) or any(words in str(error) for words in _NOT_UNDERSTOOD)


class Publisher:
    """Publishes on its own connection. After a failure it is not used again.

    ``question`` is what Redis answers when it is asked whether gateways may meet there, as ``ask_role`` and
    ``ask_cluster`` have found out; without one, they may.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.question: Question | None = None

    async def open(self) -> None:
        """Connect. Raises what redis-py raises."""
        await self._connection.connect()  # type: ignore[no-untyped-call]

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish, and return when a master has it. Whatever it raises, it may have been published all the same."""
        connection = self._connection
        commands: list[tuple[str | bytes, ...]] = [("PUBLISH", channel, message)]
        if self.question:
            # Asked after it, in one packet: had it been no master by then, it would say so.
            commands.append(self.question.words)
        await connection.send_packed_command(connection.pack_commands(commands))
        await connection.read_response()
        if self.question:
            self.question.check(await connection.read_response())

    async def ask(self, *words: str) -> Any:
        """Return what Redis answers to a command. Raises what redis-py raises."""
        await self._connection.send_command(*words)
        return await self._connection.read_response()

    async def close(self) -> None:
        """Close the connection, by TLS with a farewell from both sides. Takes no longer than answering may."""
        with suppress(RedisError, OSError, TimeoutError):
            await self._connection.disconnect()
