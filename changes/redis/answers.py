"""Questions to Redis: may gateways exchange messages at this server?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from redis import exceptions
from redis.exceptions import InvalidResponse, RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ReplicaError(RedisError):
    """The Redis server is a replica: messages published there reach only itself and its own replicas."""


class SentinelError(RedisError):
    """The server is a Sentinel, not Redis."""


class StaleSentinelError(RedisError):
    """The Sentinels name a Redis that is a replica."""


class MovedMasterError(RedisError):
    """The Sentinels now name another master."""


class UnknownMasterError(RedisError):
    """The Sentinels know no master of that name."""


class NoSentinelError(RedisError):
    """No Sentinel names the master. ``why`` is the most useful failure of asking them."""

    def __init__(self, failures: Sequence[Exception]) -> None:
        self.why = min(failures, key=_is_silence)
        super().__init__(str(self.why))


def _is_silence(failure: Exception) -> bool:
    return type(failure) in {exceptions.ConnectionError, exceptions.TimeoutError}


class NotClusterError(RedisError):
    """The server is not a node of a cluster."""


class CutOffError(RedisError):
    """The server is a node that is not connected to most of its cluster."""


class Question(NamedTuple):
    """A command whose answer says whether gateways may exchange messages at this server."""

    words: tuple[str, ...]
    check: Callable[[object], Mapping[str, str]]
    """Returns what the answer says. Raises where gateways may not meet, and InvalidResponse if it is no answer."""


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
        raise InvalidResponse("Its answer to HELLO or INFO has no role")
    if mode != "cluster" and role in ("replica", "slave"):
        raise ReplicaError
    return facts


def check_cluster(answer: object) -> Mapping[str, str]:
    """Return what the answer to ``CLUSTER INFO`` says, if what is published at that node reaches the cluster.

    Raises CutOffError, and InvalidResponse if it is no answer. A cluster that cannot serve all keys carries messages
    all the same: then its nodes have agreed that somebody is dead, which takes most of them. A node that is cut off
    with too few others only suspects that they are.
    """
    facts = _facts(answer)
    state = facts.get("cluster_state")
    if state is None:
        raise InvalidResponse("Its answer to CLUSTER INFO has no cluster_state")
    agreed = facts.get("cluster_slots_fail", "0") != "0" and facts.get("cluster_slots_pfail", "0") == "0"
    if state != "ok" and not agreed:
        raise CutOffError
    return facts


def _facts(answer: object) -> dict[str, str]:
    if isinstance(answer, dict):
        return {_text(key): _text(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return {_text(key): _text(value) for key, value in zip(answer[::2], answer[1::2], strict=False)}
    return dict(re.findall(r"^(\w+):(.*?)\r?$", _text(answer), re.MULTILINE))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


ROLE_QUESTIONS: Final = (Question(("HELLO",), check_role), Question(("INFO", "replication"), check_role))
"""Redis from 6.2 on answers the first to every user, whatever it may do else."""

CLUSTER_QUESTION: Final = Question(("CLUSTER", "INFO"), check_cluster)
