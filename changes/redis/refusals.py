"""What refusals and failures of Redis mean to whoever runs it."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from redis import exceptions
from redis.exceptions import InvalidResponse, ResponseError

from userline.changes.explanations import brief, named, shortened
from userline.changes.protocol import Explanation
from userline.changes.redis.answers import (
    CutOffError,
    MovedMasterError,
    NoSentinelError,
    NotClusterError,
    ReplicaError,
    SentinelError,
    StaleSentinelError,
    UnknownMasterError,
)

_Kinds: TypeAlias = tuple[tuple[tuple[type[BaseException], ...], str, str], ...]
"""Kinds of errors, what they mean, and what to do."""

_Words: TypeAlias = tuple[tuple[str, str, str], ...]
"""Words in the texts of errors, what they mean, and what to do."""


def explain(error: BaseException) -> Explanation:
    """Return what a failure of the bus means. It has nothing of the URL."""
    if isinstance(error, NoSentinelError):
        return _explain_sentinel(error.why)
    # What says that about TLS is no more than a failure to connect by its kind.
    return (
        _of_words(_TLS_WORDED, error) or _of_kind(_KNOWN, error) or _of_words(_WORDED, error) or _of_other_kinds(error)
    )


def _explain_sentinel(error: Exception) -> Explanation:
    """Return what it means that no Sentinel has said where the master is."""
    known = _of_words(_TLS_WORDED, error) or _of_kind(_KNOWN_OF_SENTINELS, error)
    if known is None:
        return Explanation("no Sentinel", f"What answers there is no Sentinel ({named(error)})", _SENTINELS)
    return Explanation(f"Sentinel: {known.kind}", known.text, known.advice)


def _of_kind(table: _Kinds, error: BaseException) -> Explanation | None:
    for kinds, text, advice in table:
        if isinstance(error, kinds):
            return Explanation(kinds[0].__name__, _filled(text, error), advice)
    return None


def _of_words(table: _Words, error: BaseException) -> Explanation | None:
    for words, text, advice in table:
        if words in str(error):
            return Explanation(words, _filled(text, error), advice)
    return None


def _of_other_kinds(error: BaseException) -> Explanation:
    if isinstance(error, ResponseError):
        return Explanation("refusal", f"Redis refuses: {brief(error)}", _LOOK)
    if isinstance(error, exceptions.ConnectionError | OSError):
        # Without its numbers, such as those of ports, it is the same however often it is tried.
        return Explanation(shortened(re.sub(r"\W|\d", "", str(error))), brief(error), _LOOK)
    return Explanation("garbage", f"What answers there does not speak as Redis does ({named(error)})", _ADDRESS)


def _filled(text: str, error: BaseException) -> str:
    return text.format(brief(error))


_ADDRESS: Final = (
    "Correct USERLINE_BUS_URL: it is redis://HOST:PORT of a Redis, or rediss://HOST:PORT where it wants TLS."
)
_LOOK: Final = (
    "Check that Redis runs, that this machine may reach it, and the address and password in USERLINE_BUS_URL, which is "
    "rediss:// where it speaks TLS, and redis:// where it does not."
)
_MASTER: Final = (
    "Set USERLINE_BUS_URL to its master, or make it one (REPLICAOF NO ONE): it is joined when it is a master."
)
_REPLICA: Final = "This Redis is a replica, and what is published there does not reach the gateways of its master"

_SENTINELS: Final = (
    "Check that the Sentinels run and that this machine may reach them, and their addresses in USERLINE_BUS_URL: "
    "redis+sentinel://HOST:26379,HOST:26379,HOST:26379/MASTER."
)
_ALONE: Final = "Set USERLINE_BUS_URL=redis://HOST:PORT, which is for a Redis by itself, or name nodes of a cluster."
_TLS: Final = (
    "Name the CA in USERLINE_BUS_URL (rediss://HOST:PORT?ssl_ca_certs=FILE), and Redis by a name that its certificate "
    "has."
)

_KNOWN_OF_SENTINELS: Final[_Kinds] = (
    (
        (UnknownMasterError,),
        "The Sentinels know no master of the name in USERLINE_BUS_URL",
        "Correct that name, which follows the hosts: SENTINEL MASTERS shows those they know.",
    ),
    (
        (exceptions.NoPermissionError,),
        "This user of the Sentinels may not ask for the master: {}",
        "Give it that by ACL SETUSER: +sentinel|get-master-addr-by-name.",
    ),
    (
        (exceptions.AuthenticationError,),
        "The Sentinels let nobody in with this user name and password: {}",
        "Correct sentinel_username= and sentinel_password= in USERLINE_BUS_URL. Those before the hosts are Redis's.",
    ),
    ((exceptions.TimeoutError, TimeoutError), "No Sentinel answers in time", _SENTINELS),
    ((exceptions.ConnectionError, OSError), "No Sentinel can be asked: {}", _SENTINELS),
)

_KNOWN: Final[_Kinds] = (
    ((ReplicaError, exceptions.ReadOnlyError, exceptions.MasterDownError), _REPLICA, _MASTER),
    (
        (SentinelError,),
        "This is a Sentinel, which carries no messages",
        "Set USERLINE_BUS_URL to the Redis that it watches over, by an address that follows its master.",
    ),
    (
        (StaleSentinelError,),
        "The Sentinels name a Redis as the master that is a replica",
        "It is joined when they have agreed on a master; SENTINEL MASTERS at each of them shows what they know.",
    ),
    (
        (MovedMasterError,),
        "The Sentinels name another master than the Redis that is joined",
        "The new one is joined by itself.",
    ),
    (
        (NotClusterError,),
        "This Redis is no node of a cluster",
        _ALONE,
    ),
    (
        (CutOffError,),
        "This node of the cluster is cut off from most of the others, or the cluster is down",
        "CLUSTER INFO and CLUSTER NODES show what it knows. Any node whose cluster_state is ok is joined.",
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
_TLS_WORDED: Final[_Words] = (
    ("CERTIFICATE_VERIFY_FAILED", "The certificate of Redis is not trusted: {}", _TLS),
    (
        "CERTIFICATE_REQUIRED",
        "Redis wants a certificate of its clients",
        "Name one and its key in USERLINE_BUS_URL: rediss://HOST:PORT?ssl_certfile=FILE&ssl_keyfile=FILE.",
    ),
    ("[SSL", "No TLS can be agreed on with what answers there: {}", _ADDRESS),
)
_WORDED: Final[_Words] = (
    ("cluster support disabled", "This Redis is no node of a cluster", _ALONE),
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
