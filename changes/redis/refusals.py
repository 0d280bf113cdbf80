"""Explanations of errors of Redis for operators."""

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
        return Explanation("no Sentinel", f"The server at this address is not a Sentinel ({named(error)})", _SENTINELS)
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
    return Explanation(
        "garbage", f"The server at this address does not speak the protocol of Redis ({named(error)})", _ADDRESS
    )


def _filled(text: str, error: BaseException) -> str:
    return text.format(brief(error))


_ADDRESS: Final = (
    "Correct USERLINE_BUS_URL. Its form is redis://HOST:PORT, or rediss://HOST:PORT if the Redis server uses TLS."
)
_LOOK: Final = (
    "Check that Redis runs and that this machine can reach it. Check the address and the password in USERLINE_BUS_URL. "
    "With TLS the URL begins with rediss://, without TLS with redis://."
)
_MASTER: Final = (
    "Set USERLINE_BUS_URL to its master, or promote it to master (REPLICAOF NO ONE). The gateway connects when it is a "
    "master."
)
_REPLICA: Final = "This Redis is a replica: messages that are published there do not reach the gateways at its master"

_SENTINELS: Final = (
    "Check that the Sentinels run and that this machine can reach them. Check their addresses in USERLINE_BUS_URL: "
    "redis+sentinel://HOST:26379,HOST:26379,HOST:26379/MASTER."
)
_ALONE: Final = "Set USERLINE_BUS_URL=redis://HOST:PORT for a single Redis server, or name the nodes of a cluster."
_TLS: Final = (
    "Name the file with the CA's certificate in USERLINE_BUS_URL (rediss://HOST:PORT?ssl_ca_certs=FILE), and use a "
    "host name that the certificate of Redis has."
)

_KNOWN_OF_SENTINELS: Final[_Kinds] = (
    (
        (UnknownMasterError,),
        "The Sentinels know no master with the name that is in USERLINE_BUS_URL",
        "Correct the name; it stands after the hosts. The command SENTINEL MASTERS shows the names that are known.",
    ),
    (
        (exceptions.NoPermissionError,),
        "This user of the Sentinels may not ask for the master: {}",
        "Allow it by ACL SETUSER: +sentinel|get-master-addr-by-name.",
    ),
    (
        (exceptions.AuthenticationError,),
        "The Sentinels do not accept this user name and password: {}",
        (
            "Correct sentinel_username= and sentinel_password= in USERLINE_BUS_URL. The user and the password before "
            "the hosts are for Redis itself."
        ),
    ),
    ((exceptions.TimeoutError, TimeoutError), "No Sentinel answers in time", _SENTINELS),
    ((exceptions.ConnectionError, OSError), "No Sentinel can be reached: {}", _SENTINELS),
)

_KNOWN: Final[_Kinds] = (
    ((ReplicaError, exceptions.ReadOnlyError, exceptions.MasterDownError), _REPLICA, _MASTER),
    (
        (SentinelError,),
        "This is a Sentinel, which carries no messages",
        (
            "Set USERLINE_BUS_URL=redis+sentinel://HOST:26379/MASTER, or to an address that always leads to the Redis "
            "master."
        ),
    ),
    (
        (StaleSentinelError,),
        "The Redis server that the Sentinels name as the master is a replica",
        (
            "The gateway connects when the Sentinels have agreed on a master. The command SENTINEL MASTERS at each of "
            "them shows what it knows."
        ),
    ),
    (
        (MovedMasterError,),
        "The Sentinels name another master than the Redis server in use",
        "The gateway connects to the new master by itself.",
    ),
    (
        (NotClusterError,),
        "This Redis server is not a node of a cluster",
        _ALONE,
    ),
    (
        (CutOffError,),
        "This node of the cluster has no connection to most of the others, or the cluster is down",
        (
            "The commands CLUSTER INFO and CLUSTER NODES show what it knows. The gateway connects to any node whose "
            "cluster_state is ok."
        ),
    ),
    ((exceptions.BusyLoadingError,), "Redis is loading its data", "The gateway connects when that is done."),
    (
        (exceptions.NoPermissionError,),
        "This user of Redis does not have the rights that a gateway needs: {}",
        "Allow it the channels and the commands by ACL SETUSER: &PREFIX:APP:* +subscribe +publish.",
    ),
    (
        (exceptions.AuthenticationError,),
        "Redis does not accept this user name and password: {}",
        "Correct them in USERLINE_BUS_URL: redis://USER:PASSWORD@HOST:PORT.",
    ),
    (
        (exceptions.OutOfMemoryError,),
        "Redis is out of memory: {}",
        "Raise its maxmemory, or use a separate Redis server for userline.",
    ),
    (
        (exceptions.ClusterDownError,),
        "Redis is a node of a cluster that is down: {}",
        "Repair the cluster. The gateway connects when that is done.",
    ),
    (
        (exceptions.MovedError, exceptions.AskError),
        "Redis is a node of a cluster, and redirects its clients to another node: {}",
        _LOOK,
    ),
    ((InvalidResponse,), "The server at this address does not speak the protocol of Redis: {}", _ADDRESS),
    ((exceptions.TimeoutError, TimeoutError), "Redis does not answer in time", _LOOK),
)
_TLS_WORDED: Final[_Words] = (
    ("CERTIFICATE_VERIFY_FAILED", "The certificate of Redis is not trusted: {}", _TLS),
    (
        "CERTIFICATE_REQUIRED",
        "Redis requires client certificates",
        "Name a certificate and its key in USERLINE_BUS_URL: rediss://HOST:PORT?ssl_certfile=FILE&ssl_keyfile=FILE.",
    ),
    ("[SSL", "The TLS handshake with the server at this address failed: {}", _ADDRESS),
)
_WORDED: Final[_Words] = (
    ("cluster support disabled", "This Redis server is not a node of a cluster", _ALONE),
    (
        "max number of clients",
        "Redis has reached its limit of clients (maxclients)",
        "Raise its maxclients, or end some of its clients. The gateway keeps trying.",
    ),
    (
        "protected mode",
        "Redis is in protected mode and accepts connections from its own machine only",
        "Set a password (requirepass), and write it into USERLINE_BUS_URL.",
    ),
    ("MISCONF", "Redis cannot save its data and refuses commands: {}", "Repair its disk, or switch saving off."),
    (
        "NOREPLICAS",
        "Redis has too few replicas and refuses commands: {}",
        "Repair the replicas, or lower min-replicas-to-write.",
    ),
)
