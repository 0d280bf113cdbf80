"""Makes tokens for development with the app's secret, as a back end would."""

from __future__ import annotations

import re
import time
import warnings
from typing import TYPE_CHECKING, Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from userline.gateway.auth.tokens import Terms

if TYPE_CHECKING:
    from userline.settings.settings import Settings

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def mint(secret: str | bytes, issuer: str, *, user_id: str | None, seconds: int, audience: str | None = None) -> str:
    """Return a token for the user, or for the app if there is no user id, that is good for ``seconds``."""
    now = int(time.time())
    claims: dict[str, Any] = {"iss": issuer, "iat": now, "exp": now + seconds}
    if audience is not None:
        claims["aud"] = audience
    claims |= {"tokenType": "app"} if user_id is None else {"tokenType": "user", "sub": user_id}
    with warnings.catch_warnings(action="ignore", category=InsecureKeyLengthWarning):  # the settings tell of it
        return jwt.encode(claims, secret, algorithm="HS256")


def mint_for(settings: Settings, *, user_id: str | None, seconds: int) -> str:
    """Return a token that a gateway with these settings takes, which have a secret: signed with the first one."""
    terms = Terms.set_by(settings)
    audience = terms.audiences[0] if terms.needs_audience else None
    return mint(settings.secrets[0], terms.issuers[0], user_id=user_id, seconds=seconds, audience=audience)


def parse_duration(text: str) -> int:
    """Return the seconds in a duration such as 90s, 15m, 1h or 30d. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("It must be a number and a unit, such as 90s, 15m, 1h or 30d.")
    return int(match[1]) * _SECONDS[match[2]]
