"""Where requests and sockets carry their token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from starlette.types import Scope

_BEARER = re.compile(r"bearer +([!-~]+) *", re.IGNORECASE)  # RFC 6750, section 2.1; what a token is comes later
_TOKEN_KEYS: Final = ("token", "authToken")


def token_of_request(scope: Scope) -> str | None:
    """Return the token in the Authorization header, or None without one. Raises Unauthenticated."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    if not values:
        return None
    if len(values) > 1:
        raise Unauthenticated("There must be one Authorization header, not several.")
    return _token(values[0].decode("latin-1"))


def challenge(scope: Scope) -> dict[str, str]:
    """Return the header that goes with a 401. Source: RFC 6750, section 3."""
    has_token = any(name == b"authorization" for name, _ in scope["headers"])
    return {"www-authenticate": 'Bearer error="invalid_token"' if has_token else "Bearer"}


def token_of_payload(payload: Any) -> str | None:
    """Return the token in the payload of ``connection_init`` or ``ping``, or None without one.

    It is ``{"Authorization": "Bearer TOKEN"}`` (in any case), ``{"token": "TOKEN"}`` or ``{"authToken": "TOKEN"}``.
    Raises Unauthenticated if it is something else under one of these names, or if there are several.
    """
    if not isinstance(payload, dict):
        return None
    found = [(name, value) for name, value in payload.items() if name in _TOKEN_KEYS or _is_header(name)]
    found = [(name, value) for name, value in found if value is not None]
    if not found:
        return None
    name, value = found[0]
    if len(found) > 1 or not isinstance(value, str) or not value:
        raise Unauthenticated("The payload must have exactly one token, as a string.")
    return _token(value) if _is_header(name) else value


def _is_header(name: str) -> bool:
    return name.lower() == "authorization"


def _token(value: str) -> str:
    match = _BEARER.fullmatch(value.strip())
    if match is None:
        raise Unauthenticated("Authorization must be of the form: Bearer TOKEN.")
    return match[1]
