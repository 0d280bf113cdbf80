"""What the end of a socket means: come back, show another token, or give up."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import Final, TypeAlias

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from userline_client.errors import ConnectionRefused, ProtocolError, UserlineError
from userline_client.tokens import TokenCallbackFailed

FORBIDDEN: Final = 4403
_TOKEN_EXPIRED: Final = 4410
# What a gateway closes a socket for that would happen again: the client sent what it must not.
_FAULTS: Final = frozenset({1008, 1009, 4400, 4401, 4406, 4409, 4429})
# What it closes a socket for because there are too many, or too much comes, or it is not ready.
_REFUSALS: Final = frozenset({1013, 4430, 4431, 4503})
_WHEN_TO_COME_BACK: Final = re.compile(r"retry after (\d{1,3}(?:\.\d{1,3})?) s")
_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

ENDS: Final = (OSError, WebSocketException, TokenCallbackFailed, ProtocolError)
"""How the use of a socket can end."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Come back, perhaps after just so many seconds. ``refusal`` says that the gateway wanted it so."""

    problem: str
    hint: float | None = None
    refusal: UserlineError | None = None


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Come back with another token."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fatal:
    """Coming back would not help."""

    error: UserlineError


Verdict: TypeAlias = Lost | TokenRefused | Fatal


def judge(end: BaseException, *, was_open: bool) -> Verdict:  # noqa: PLR0911 - a table
    """Say what the end of a socket, one of ``ENDS``, means. ``was_open``: there has been a connection before."""
    match end:
        case ConnectionClosed():
            return _judge_code(end)
        case TokenCallbackFailed():
            return Lost("on_need_token has failed")
        case InvalidStatus():
            status = end.response.status_code
            if status in _PASSING_STATUSES:
                return Lost(f"the gateway answered with HTTP status {status}")
            return Fatal(ProtocolError(f"The gateway refused the connection with HTTP status {status}."))
        case ProtocolError():
            return Fatal(end)
        case InvalidMessage():
            return Lost("it was lost during the handshake")
        case InvalidHandshake() | InvalidURI():
            return Fatal(ProtocolError(f"There is no userline gateway at this URL: {end}"))
        case ssl.SSLCertVerificationError() if not was_open:  # later, somebody will mend it
            return Fatal(ProtocolError(f"The gateway's certificate is not trusted: {end.verify_message}."))
    return Lost(str(end) or type(end).__name__)


def _judge_code(closed: ConnectionClosed) -> Verdict:
    code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
    if code in _FAULTS:
        return Fatal(ProtocolError(f"The gateway closed the connection ({code}): {reason}", code))
    if code in {FORBIDDEN, _TOKEN_EXPIRED}:
        return TokenRefused(code, reason)
    problem = f"it was closed ({code}{f': {reason}' if reason else ''})"
    hint = _WHEN_TO_COME_BACK.search(reason)
    refusal = ConnectionRefused(f"The gateway refuses the connection: {problem}.", code) if code in _REFUSALS else None
    return Lost(problem, None if hint is None else float(hint[1]), refusal)
