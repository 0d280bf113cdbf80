"""What MongoDB answers when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.mongo_wire.messages import Document

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
NAMES: Final = {
    13: "Unauthorized",
    18: "AuthenticationFailed",
    20: "IllegalOperation",
    43: "CursorNotFound",
    50: "MaxTimeMSExpired",
    64: "WriteConcernFailed",
    79: "UnknownReplWriteConcern",
    91: "ShutdownInProgress",
    100: "UnsatisfiableWriteConcern",
    112: "WriteConflict",
    121: "DocumentValidationFailure",
    136: "CappedPositionLost",
    146: "ExceededMemoryLimit",
    189: "PrimarySteppedDown",
    222: "CloseChangeStream",
    237: "CursorKilled",
    260: "InvalidResumeToken",
    280: "ChangeStreamFatalError",
    286: "ChangeStreamHistoryLost",
    8000: "AtlasError",
    10107: "NotWritablePrimary",
    10334: "BSONObjectTooLarge",
    11000: "DuplicateKey",
    11600: "InterruptedAtShutdown",
    11602: "InterruptedDueToReplStateChange",
    13435: "NotPrimaryNoSecondaryOk",
    14031: "OutOfDiskSpace",
    16500: "Location16500",
    40573: "Location40573",
}


def error(code: int, message: str = "", *, labels: Iterable[str] = (), **more: Any) -> Document:
    """Return the answer to a command that failed as a whole."""
    name = NAMES.get(code, f"Location{code}")
    document = {"ok": 0.0, "errmsg": message or f"made up: {name}", "code": code, "codeName": name, **more}
    return {**document, "errorLabels": list(labels)} if labels else document


def write_errors(*codes: int, n: int = 0, message: str = "", **more: Any) -> Document:
    """Return the answer to a write of which the first operations failed, with these codes."""
    failures = [
        {"index": index, "code": code, "errmsg": message or f"made up: {NAMES.get(code, code)}", **more}
        for index, code in enumerate(codes)
    ]
    return {"ok": 1.0, "n": n, "writeErrors": failures}


def write_concern_error(
    code: int, message: str = "", *, n: int = 1, info: Mapping[str, Any] | None = None, labels: Iterable[str] = ()
) -> Document:
    """Return the answer to a write that was done, and was not acknowledged as it was asked for."""
    failure = {"code": code, "codeName": NAMES.get(code, ""), "errmsg": message or "made up", "errInfo": info or {}}
    document: Document = {"ok": 1.0, "n": n, "nModified": n, "writeConcernError": failure}
    return {**document, "errorLabels": list(labels)} if labels else document
