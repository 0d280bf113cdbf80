"""Reads the contents of tokens strictly. No I/O.

A token is a JWT (RFC 7519) in the compact form of a JWS (RFC 7515). What can be read in two ways (repeated names, NaN,
characters that a decoder skips) is refused, and so is whatever asks to be checked with something other than the
configured key. ``TokenRefused`` says precisely why, for the log; it never holds anything of the token.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from userline.settings.checks import names_in
from userline.users.errors import BadUserInput
from userline.users.patch import parse_id
from userline.users.viewer import Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from userline.settings.settings import Settings

MAX_TOKEN_CHARACTERS: Final = 8192
LEEWAY_SECONDS: Final = 30.0
"""How far the clocks of who issues and who checks tokens may be apart."""

LONGEST_SLEEP_SECONDS: Final = 60.0
"""How long to sleep at once until a token ends: its clock can be set, and sleeping goes by another one."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+", re.ASCII)
_FORBIDDEN_HEADERS = ("crit", "b64", "jwk", "jku", "x5u", "x5c")
_LATEST = 2**53


class TokenRefused(Exception):
    """A token that is not accepted. ``told`` is the sentence for the caller, ``str(error)`` the reason for the log."""

    def __init__(self, reason: str, told: str = "The token is not valid.") -> None:
        super().__init__(reason)
        self.told = told


@dataclass(frozen=True, slots=True)
class Unverified:
    """The header and the claims of a token whose signature has not been verified yet."""

    algorithm: str
    key_id: str | None
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Terms:
    """The accepted issuers and audiences."""

    issuers: tuple[str, ...]
    """What ``iss`` may be."""
    audiences: tuple[str, ...]
    """What ``aud`` must have one of."""
    needs_audience: bool
    """Whether a token without ``aud`` is refused."""

    @classmethod
    def of(cls, app_id: str, issuers: Iterable[str] = (), audiences: Iterable[str] = ()) -> Terms:
        """Return the terms of an app. What is left out is the app's id, and ``aud`` may then be left out too."""
        named = tuple(audiences)
        return cls(tuple(issuers) or (app_id,), named or (app_id,), needs_audience=bool(named))

    @classmethod
    def set_by(cls, settings: Settings) -> Terms:
        """Return the terms that the settings have."""
        return cls.of(settings.app_id, names_in(settings.issuer), names_in(settings.audience))

    def check(self, claims: dict[str, Any]) -> None:
        """Return if these are claims of a token that is meant for this gateway. Raises TokenRefused."""
        issuer = claims.get("iss")
        if not isinstance(issuer, str) or issuer not in self.issuers:
            raise TokenRefused("iss is not one of USERLINE_ISSUER (the app's id unless that is set)")
        if "aud" not in claims:
            if self.needs_audience:
                raise TokenRefused("there is no aud, but USERLINE_AUDIENCE requires one")
            return
        audience = claims["aud"]
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and one in self.audiences for one in named):
            raise TokenRefused("aud has none of the values of USERLINE_AUDIENCE (the app's id unless that is set)")


def read(token: str) -> Unverified:
    """Return what the token says. Raises TokenRefused."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefused("the token is too long")
    parts = _COMPACT.fullmatch(token)
    if parts is None:
        raise TokenRefused("the token does not have three parts of base64url")
    header = _object(parts[1], "header")
    claims = _object(parts[2], "payload")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        raise TokenRefused("alg is not a string")
    for name in _FORBIDDEN_HEADERS:
        if name in header:
            raise TokenRefused(f"the header has {name}")
    key_id = header.get("kid")
    if not isinstance(key_id, str | None):
        raise TokenRefused("kid is not a string")
    return Unverified(algorithm, key_id, claims)


def viewer_of(claims: dict[str, Any], terms: Terms, *, key_id: bytes, now: float) -> Viewer:
    """Return who the claims of a token stand for that the key has signed. Raises TokenRefused."""
    expires_at = _moment(claims, "exp")
    not_before = _moment(claims, "nbf")
    _moment(claims, "iat")
    terms.check(claims)
    if expires_at is not None and now >= expires_at + LEEWAY_SECONDS:
        raise TokenRefused("exp is in the past", "The token has expired.")
    if not_before is not None and now < not_before - LEEWAY_SECONDS:
        raise TokenRefused("nbf is in the future", "The token is not valid yet.")
    match claims.get("tokenType"):
        case "app":
            return Viewer(ViewerKind.APP, None, expires_at, key_id)
        case "user":
            try:
                return Viewer(ViewerKind.USER, parse_id(claims.get("sub")), expires_at, key_id)
            except BadUserInput:
                raise TokenRefused("sub is not a user id") from None
    raise TokenRefused("tokenType is neither user nor app")


def _object(part: str, name: str) -> dict[str, Any]:
    try:
        text = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
        value = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_constant)
    except (binascii.Error, ValueError, RecursionError):
        raise TokenRefused(f"the {name} is not valid JSON in base64url") from None
    if not isinstance(value, dict):
        raise TokenRefused(f"the {name} is not an object")
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("A name occurs twice.")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON.")


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """Return a claim in Unix seconds, or None if it is left out. Source: RFC 7519, section 2, NumericDate."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"{name} is not a number")
    if not -_LATEST <= value <= _LATEST:  # compared as it is: an integer may be too large to become a float
        raise TokenRefused(f"{name} is out of range")
    return float(value)


def ends_at(viewer: Viewer, now: float) -> float | None:
    """Return when what a viewer opens now ends, in Unix seconds, or None for never.

    That is at the ``exp`` of its token. The leeway is for being let in: a token that is let in by it ends with it.
    """
    expires_at = viewer.expires_at
    return expires_at if expires_at is None or expires_at > now else expires_at + LEEWAY_SECONDS
