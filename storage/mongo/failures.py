"""The meaning of MongoDB's errors, for the log and for callers.

Nothing here repeats what a server says. It quotes keys (a duplicate), whole documents (a validator) and commands; so
each code has a sentence of ours, and one that is not known is told by its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

from userline.storage.mongo.documents import FIELD_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DUPLICATE_KEY: Final = 11000

_LONGEST_TEXT: Final = 200


class Kind(Enum):
    """How an error is handled."""

    AWAY = "away"
    """An outage: nothing, or no write, is done. Whoever asked is told that the store is not available."""
    PARTLY = "partly"
    """The servers answer, and did not do this. Whoever asked is told the same; it is no outage."""
    REFUSED = "refused"
    """They will never do this: trying again does not help, and somebody has to change the database."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error: ``text`` continues a sentence after a colon, ``advice`` is a sentence or empty."""

    kind: Kind
    text: str
    advice: str = ""


def _table() -> dict[int, Failure]:
    """Return what each code means. https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml."""
    no_primary = Failure(Kind.AWAY, "it has no primary at the moment")
    stopping = Failure(Kind.AWAY, "a member is shutting down")
    cut_off = Failure(Kind.AWAY, "its members cannot reach each other")
    late = Failure(Kind.PARTLY, "a command exceeded its time limit")
    ended = Failure(Kind.PARTLY, "a command was interrupted")
    login = Failure(
        Kind.AWAY,
        "it does not know this user and password",
        "Check the user's name, the password and authSource in the URL of the user store.",
    )
    too_few = Failure(
        Kind.PARTLY,
        "a majority of its members has not confirmed a write, which may have been done",
        "Check whether members are down or far behind.",
    )
    concern = Failure(
        Kind.PARTLY,
        "it cannot confirm a write with the requested write concern; the write may have been done",
        "A majority of the voting members must be data-bearing.",
    )
    memory = Failure(Kind.PARTLY, "a command exceeded its memory limit", "Give the servers more memory.")
    disk = Failure(Kind.PARTLY, "its disk is full, and it writes nothing", "Free some space on the servers' disks.")
    busy = Failure(Kind.PARTLY, "two commands conflicted with each other")
    throttled = Failure(
        Kind.PARTLY, "it throttles the gateway", "Give the database more throughput, or spread the load over time."
    )
    no_numbers = Failure(
        Kind.PARTLY,
        "it does not support retryable writes",
        "If it is not a replica set, add retryWrites=false to the URL of the user store.",
    )
    no_command = Failure(
        Kind.PARTLY, "it lacks a command that users need", "Use MongoDB 6 or newer, or a compatible server."
    )
    too_large = Failure(
        Kind.REFUSED, "a document is larger than it allows", "Lower the limit of a record's size (USERLINE_MAX_*)."
    )
    not_taken = Failure(
        Kind.REFUSED,
        "it does not accept the form of a document or of a command",
        "Use MongoDB 6 or newer, or a compatible server.",
    )
    shard_key = Failure(
        Kind.REFUSED,
        "a write does not have the fields of the shard key",
        'Shard the collection on {_id: "hashed"}, or do not shard it.',
    )
    return {
        13: Failure(
            Kind.PARTLY,
            "the user in the URL may not do this",
            "Grant the user in the URL the role readWrite on the database.",
        ),
        **dict.fromkeys((20, 301), no_numbers),
        121: Failure(
            Kind.REFUSED,
            "the validator of the collection users does not accept a user",
            "Change the validator (collMod), so that it accepts every user that docs/mongodb.md describes, or remove "
            "it.",
        ),
        166: Failure(
            Kind.REFUSED, "users is a view, not a collection", "Name another database in the URL of the user store."
        ),
        8000: Failure(
            Kind.PARTLY,
            "Atlas refuses it",
            "Check the cluster in Atlas, its quota, and the user's name and password in the URL.",
        ),
        **dict.fromkeys((11, 18, 334), login),
        **dict.fromkeys((189, 10058, 10107, 11602, 13435, 13436, 133), no_primary),
        **dict.fromkeys((91, 11600), stopping),
        **dict.fromkeys((6, 7, 89, 134, 317, 358, 384, 9001), cut_off),
        **dict.fromkeys((50, 202, 262, 290), late),
        **dict.fromkeys((237, 11601, 43), ended),
        64: too_few,
        **dict.fromkeys((79, 100), concern),
        **dict.fromkeys((146, 292), memory),
        14031: disk,
        **dict.fromkeys((24, 46, 112, 251), busy),
        **dict.fromkeys((16500, 462), throttled),
        **dict.fromkeys((59, 115, 238, 303), no_command),
        **dict.fromkeys((10334, 17280, 17419, 17420, 17261), too_large),
        **dict.fromkeys((2, 9, 14, 16, 22, 28, 40, 52, 55, 56, 57, 66, 67, 72), not_taken),
        61: shard_key,
    }


TABLE: Final = _table()

_LATE: Final = Failure(Kind.AWAY, "it did not answer in time")
_HANDSHAKE: Final = Failure(Kind.AWAY, "a server answered the greeting with an error")


def failure(error: BaseException) -> Failure:
    """Return what an error of a driver means."""
    if isinstance(error, ServerSelectionTimeoutError):
        return _of_client(error, named=False)
    if isinstance(error, TimeoutError | NetworkTimeout | WaitQueueTimeoutError):
        return _LATE
    if isinstance(error, OperationFailure | NotPrimaryError):
        return _of_server(error)
    return _of_client(error, named=True)


def code_of(error: BaseException) -> int | None:
    """Return the code that a server gave, if one did; of a group of writes, that of the worst."""
    details = _worst(error)
    code = details.get("code") or getattr(error, "code", None)
    return code if isinstance(code, int) else None


def is_own_id_taken(details: Mapping[str, Any]) -> bool:
    """Whether an error of code 11000 says that there is a user with this id; else another index is in the way.

    Servers before 4.4, and some stand-ins, tell no ``keyPattern``; the text has the index's name then, or nothing.
    """
    pattern = details.get("keyPattern")
    if pattern:
        return list(pattern) == ["_id"]
    _, found, rest = str(details.get("errmsg", "")).partition(" index: ")
    return not found or rest.split(maxsplit=1)[0].rpartition("$")[2] in {"_id_", "_id"}


def failed_writes(error: BulkWriteError) -> Sequence[Mapping[str, Any]]:
    """Return which writes of a group failed. Raises the error if that is not all, because the others are in doubt."""
    details = error.details or {}
    failed: Sequence[Mapping[str, Any]] = details.get("writeErrors") or ()
    if not failed or details.get("writeConcernErrors"):
        raise error
    return failed


def is_taken(failed: Mapping[str, Any]) -> bool:
    """Whether a write of a group failed because there is a user with its id."""
    return failed["code"] == DUPLICATE_KEY and is_own_id_taken(failed)


def refusal(failed: Mapping[str, Any]) -> OperationFailure:
    """Return the error of one write of a group, as if it had been alone."""
    return OperationFailure("", failed["code"], failed)


def _worst(error: BaseException) -> Mapping[str, Any]:
    """Return what a server said, or what it said of the worst write of a group."""
    details: Mapping[str, Any] = getattr(error, "details", None) or {}
    if not isinstance(error, BulkWriteError):
        return details
    # An acknowledgement that is missing puts all of them in doubt. That a user is there already is no failure.
    failures: list[Mapping[str, Any]] = [
        *(details.get("writeConcernErrors") or ()),
        *(details.get("writeErrors") or ()),
    ]
    return next((each for each in failures if each.get("code") != DUPLICATE_KEY or not is_own_id_taken(each)), {})


def _of_server(error: OperationFailure | NotPrimaryError) -> Failure:
    code = code_of(error)
    if code == DUPLICATE_KEY:
        return _of_index(_worst(error).get("keyPattern") or {})
    if error.timeout and code is None:
        return _LATE
    known = TABLE.get(code or -1)
    if known is None:
        if isinstance(error, NotPrimaryError):
            return TABLE[10107]
        known = Failure(Kind.AWAY, "it answered with an error")
    return known if code is None else Failure(known.kind, f"{known.text} (code {code})", known.advice)


def _of_index(pattern: Mapping[str, Any]) -> Failure:
    # Other names may be keys that somebody gave to a user.
    names = [name for name in pattern if name in FIELD_NAMES]
    which = f"the unique index on {', '.join(names)}" if names else "a unique index beside the one on _id"
    return Failure(
        Kind.REFUSED,
        f"{which} does not accept a user (code {DUPLICATE_KEY})",
        "Drop the index: users of userline may have equal values in a field.",
    )


def _of_client(error: BaseException, *, named: bool) -> Failure:
    """Return what the driver itself, or the machine, says: of sockets, names, certificates and settings."""
    # Servers' states and the time-outs of the configuration follow, at length.
    text = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0]
    if "full error" in text or "errmsg" in text:
        return _HANDSHAKE
    if not isinstance(error, ConnectionFailure | ConfigurationError | OSError):
        text = ""
    name = type(error).__name__ if isinstance(error, PyMongoError | OSError) else "Exception"
    text = " ".join((f"{name}: {text}" if named and text else text or name).split()).removesuffix(".")
    return Failure(Kind.AWAY, text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…")
