"""What Redis answers when it is asked whether it is a master, and what its refusals mean to whoever runs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from redis import exceptions
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from userline.changes.explanations import brief, named, shortened
from userline.changes.protocol import Explanation

if TYPE_CHECKING:
    from collections.abc import Mapping

QUESTIONS: Final = (("HELLO",), ("INFO", "replication"))
"""Commands whose answer has the role. Redis from 6.2 on answers the first to every user, whatever it may do else."""


class ReplicaError(RedisError):
    """Redis is a replica: it keeps what is published there to itself and to replicas of its own."""


class SentinelError(RedisError):
    """It is a Sentinel, and no Redis."""


def check_role(answer: object) -> Mapping[str, str]:
    """Return what the answer to a question says, if gateways may meet there.

    Raises ReplicaError, SentinelError, and InvalidResponse if it is no answer. Every node of a cluster hands what is
    published there to all others, so there a replica is as good as a master.
    """
    facts = _facts(answer)
    mode = facts.get("mode", "standalone")
    if mode == "sentinel":
        raise SentinelError
    role = facts.get("role")
    if role is None:
        raise InvalidResponse("What it says of itself has no role")
    if mode != "cluster" and role in ("replica", "slave"):
        raise ReplicaError
    return facts


def _facts(answer: object) -> dict[str, str]:
    if isinstance(answer, dict):
        return {_text(key): _text(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return {_text(key): _text(value) for key, value in zip(answer[::2], answer[1::2], strict=False)}
    return dict(re.findall(r"^(\w+):(.*?)\r?$", _text(answer), re.MULTILINE))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def explain(error: BaseException) -> Explanation:
    """Return what a failure of the bus means. It has nothing of the URL."""
    for kinds, text, advice in _KNOWN:
        if isinstance(error, kinds):
            return Explanation(kinds[0].__name__, _filled(text, error), advice)
    said = str(error)
    for words, text, advice in _WORDED:
        if words in said:
            return Explanation(words, _filled(text, error), advice)
    if isinstance(error, ResponseError):
        return Explanation("refusal", f"Redis refuses: {brief(error)}", _LOOK)
    if isinstance(error, exceptions.ConnectionError | OSError):
        # Without its numbers, such as those of ports, it is the same however often it is tried.
        return Explanation(shortened(re.sub(r"\W|\d", "", said)), brief(error), _LOOK)
    return Explanation("garbage", f"What answers there does not speak as Redis does ({named(error)})", _ADDRESS)


def _filled(text: str, error: BaseException) -> str:
    return text.format(brief(error))


_ADDRESS: Final = (
    "Correct USERLINE_BUS_URL: it is redis://HOST:PORT of a Redis, or rediss://HOST:PORT where it wants TLS."
)
_LOOK: Final = (
    "Check that Redis runs, that this machine may reach it, and the address and password in USERLINE_BUS_URL."
)
_MASTER: Final = (
    "Set USERLINE_BUS_URL to its master, or make it one (REPLICAOF NO ONE): it is joined when it is a master."
)
_REPLICA: Final = "This Redis is a replica, and what is published there does not reach the gateways of its master"

_KNOWN: Final[tuple[tuple[tuple[type[BaseException], ...], str, str], ...]] = (
    ((ReplicaError, exceptions.ReadOnlyError, exceptions.MasterDownError), _REPLICA, _MASTER),
    (
        (SentinelError,),
        "This is a Sentinel, which carries no messages",
        "Set USERLINE_BUS_URL to the Redis that it watches over, by an address that follows its master.",
    ),
    ((exceptions.BusyLoadingError,), "Redis is loading its data", "It is joined when that is done."),
    (
        (exceptions.NoPermissionError,),
        "This user of Redis may not do what a gateway does: {}",
        "Give it the channels and the commands by ACL SETUSER: &PREFIX:APP:* +subscribe +publish.",
    ),
    (
        (exceptions.AuthenticationError,),
        "Redis lets nobody in with this user name and password: {}",
        "Correct them in USERLINE_BUS_URL: redis://USER:PASSWORD@HOST:PORT.",
    ),
    (
        (exceptions.OutOfMemoryError,),
        "Redis is out of memory: {}",
        "Raise its maxmemory, or give userline a Redis of its own.",
    ),
    (
        (exceptions.ClusterDownError,),
        "Redis is a node of a cluster that is down: {}",
        "Repair the cluster; it is joined when that is done.",
    ),
    (
        (exceptions.MovedError, exceptions.AskError),
        "Redis is a node of a cluster, and sends its clients elsewhere: {}",
        _LOOK,
    ),
    ((InvalidResponse,), "What answers there does not speak as Redis does: {}", _ADDRESS),
    ((exceptions.TimeoutError, TimeoutError), "Redis does not answer in time", _LOOK),
)
_WORDED: Final = (
    (
        "max number of clients",
        "Redis has as many clients as it takes (maxclients)",
        "Raise its maxclients, or end some of its clients; it is joined when there is room.",
    ),
    (
        "protected mode",
        "Redis is in protected mode, in which only its own machine may use it",
        "Give it a password (requirepass) and put that into USERLINE_BUS_URL.",
    ),
    ("MISCONF", "Redis cannot save its data and refuses commands: {}", "Repair its disk, or turn saving off."),
    ("NOREPLICAS", "Redis has too few replicas and refuses commands: {}", "Repair the replicas, or want fewer."),
)
