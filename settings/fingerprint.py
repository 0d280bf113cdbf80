"""Fingerprints of the settings that must be the same at all gateways: they show a difference, and no value.

Whoever can read metrics can read these. That of a secret takes some 50 ms to make and has 32 bits, so that it is of no
use to find a weak secret by trying; a strong one cannot be found anyway.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import orjson

from userline.settings.field import must_agree
from userline.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

AGREEING: Final = tuple(name for name, field in Settings.model_fields.items() if must_agree(field))
"""The settings that all gateways of a deployment must have alike."""

SECRETS: Final = "secret"
"""The one whose fingerprint has a part for each of several secrets, with ``+`` between them."""

_NONE: Final = "none"
_BYTES: Final = 4
_ALL_BYTES: Final = 6


class Fingerprints:
    """The fingerprints of one gateway's present settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._of_secrets: dict[bytes, str] = {}

    def now(self) -> dict[str, str]:
        """Return the fingerprints by the settings' names. The first time for a secret, it takes a while."""
        settings = self._settings
        secrets = settings.secrets
        self._of_secrets = {secret: self._of_secrets.get(secret) or self._slow(secret) for secret in secrets}
        found = {name: _quick(name, _value(settings, name)) for name in AGREEING}
        return found | {SECRETS: "+".join(sorted(self._of_secrets.values())) or _NONE}

    def _slow(self, secret: bytes) -> str:
        salt = f"userline fingerprint {self._settings.app_id}".encode()
        return hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=_BYTES).hex()


def of_all(fingerprints: Mapping[str, str]) -> str:
    """Return one fingerprint of all settings that must agree."""
    return hashlib.sha256(orjson.dumps(sorted(fingerprints.items()))).digest()[:_ALL_BYTES].hex()


def _value(settings: Settings, name: str) -> object:
    if name == "roles":
        return settings.app_roles if settings.roles else None
    return None if name == SECRETS else getattr(settings, name)


def _quick(name: str, value: object) -> str:
    if value is None:
        return _NONE
    text = orjson.dumps([name, value], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(text).digest()[:_BYTES].hex()
