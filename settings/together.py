"""Checks of several settings together: no gateway runs open, or checks tokens badly, by mistake."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from userline.changes import factory as buses
from userline.settings.checks import is_loopback
from userline.settings.origins import SECRETS, describe, variable_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from userline.settings.fields import Fields
    from userline.settings.origins import Origins

MIN_SECRET_BYTES: Final = 32
"""Source: RFC 7518, section 3.2."""

_MIN_DIFFERENT_BYTES: Final = 8
_SSH: Final = (b"ssh-", b"ecdsa-")
_SIGNS_OF_KEYS: Final = (b"----", b"{", b"[")
"""What every PEM, JWK and set of JWKs has in it, in any encoding of characters."""
_ADVICE: Final = "Create one with: openssl rand -base64 48"


def tracing_is_installed() -> bool:
    """Whether what tracing needs is there."""
    return all(
        find_spec("opentelemetry") and find_spec(name) for name in ("opentelemetry.sdk", "opentelemetry.exporter")
    )


def check_together(
    fields: Fields, secrets: Mapping[str, Sequence[bytes]], origins: Origins, bad: frozenset[str]
) -> list[str]:
    """Return what is wrong with the values together. Fields in ``bad`` are known to be wrong and are left alone."""
    problems = []
    if (
        fields.is_open
        and not fields.allow_open
        and not bad & {"host", "allow_open", "secret", "jwks_url"}
        and not all(map(is_loopback, fields.hosts))
    ):
        problems.append(
            f"{describe('host', fields.host, origins)} Everybody who reaches that address could read and write every "
            "user, because tokens are not checked. Set USERLINE_SECRET or USERLINE_JWKS_URL so that tokens are "
            "checked, or set USERLINE_HOST=127.0.0.1, or set USERLINE_ALLOW_OPEN=true to allow this."
        )
    on_mongodb = fields.store_url.lower().startswith("mongodb")
    if not bad & {"change_stream", "store_url"} and fields.change_stream and not on_mongodb:
        problems.append(
            f"{describe('change_stream', fields.change_stream, origins)} Only MongoDB has a change stream: set "
            "USERLINE_STORE_URL=mongodb://…, or do not set USERLINE_CHANGE_STREAM."
        )
    if not bad & {"workers", "bus_url"} and fields.workers > 1 and not buses.kind_of(fields.bus_url).is_shared:
        problems.append(
            f"{describe('workers', fields.workers, origins)} More than one process needs a shared bus, but the "
            f"memory:// bus is for one process: set USERLINE_BUS_URL={buses.SHARED_EXAMPLES}, or USERLINE_WORKERS=1."
        )
    if fields.federation_prefix and not fields.federation and not bad & {"federation", "federation_prefix"}:
        problems.append(
            f"{describe('federation_prefix', fields.federation_prefix, origins)} It has an effect only in a subgraph: "
            "set USERLINE_FEDERATION=true, or do not set USERLINE_FEDERATION_PREFIX."
        )
    if fields.tracing and "tracing" not in bad and not tracing_is_installed():
        problems.append(
            f"{describe('tracing', fields.tracing, origins)} The packages that it needs are not installed: pip install "
            "'userline[tracing]', or do not set USERLINE_TRACING."
        )
    return problems + _check_tokens(fields, secrets, origins, bad)


def _check_tokens(
    fields: Fields, secrets: Mapping[str, Sequence[bytes]], origins: Origins, bad: frozenset[str]
) -> list[str]:
    """Return what is wrong with how tokens would be checked. Fields in ``bad`` are known to be wrong."""
    problems = []
    production = fields.env == "production"
    if fields.secret is not None and fields.jwks_url is not None:
        problems.append(
            f"USERLINE_SECRET ({origins.of_fields['secret']}) and USERLINE_JWKS_URL ({origins.of_fields['jwks_url']}) "
            "are both set. Tokens are checked with one or the other: unset one of them."
        )
    if production and fields.is_open and not bad & {"secret", "jwks_url"}:
        problems.append(
            f"{describe('env', fields.env, origins)} In production tokens must be checked: set USERLINE_SECRET (the "
            "app's secret, such as the output of: openssl rand -base64 48) or USERLINE_JWKS_URL."
        )
    if production and fields.allow_open:
        problems.append(
            f"{describe('allow_open', fields.allow_open, origins)} In production tokens must be checked: unset it, or "
            "set USERLINE_ENV=development."
        )
    if fields.second_secret is not None and fields.secret is None and "secret" not in bad:
        problems.append(
            f"{describe('second_secret', '', origins)} There is no first one: set USERLINE_SECRET, or "
            "USERLINE_SECRET_FILE."
        )
    problems += _check_secrets(secrets, origins, production=production)
    if production and fields.jwks_url is not None and not _is_private_channel(fields.jwks_url):
        problems.append(
            f"{describe('jwks_url', fields.jwks_url, origins)} In production it must start with https:, because "
            "anybody who can change the keys in transit can create valid tokens."
        )
    return problems


def find_weak_secrets(secrets: Mapping[str, Sequence[bytes]], origins: Origins) -> list[str]:
    """Return a sentence for each secret that production would not take."""
    weak = _check_secrets(secrets, origins, production=True)
    return [f"Whoever guesses the secret can read and write every user. {problem}" for problem in weak]


def _check_secrets(secrets: Mapping[str, Sequence[bytes]], origins: Origins, *, production: bool) -> list[str]:
    """Return what is wrong with each of the secrets."""
    problems = []
    for name in SECRETS:
        several = secrets[name]
        for number, secret in enumerate(several, 1):
            which = f"{variable_of(name)} is set ({origins.of_fields[name]}), but"
            if len(several) > 1:
                which += f" of its secret in line {number}:"
            problems += [f"{which} {problem}" for problem in _weaknesses(secret, production=production)]
    return problems


def _weaknesses(secret: bytes, *, production: bool) -> list[str]:
    if is_another_key(secret):
        return ["it is a key of another kind (PEM, SSH or JWK). HS256 needs a secret of random characters."]
    if production and len(secret) < MIN_SECRET_BYTES:
        size = f"{len(secret)} byte{'' if len(secret) == 1 else 's'}"
        return [f"it has {size}, but in production it needs {MIN_SECRET_BYTES}. {_ADVICE}"]
    if production and len(set(secret)) < _MIN_DIFFERENT_BYTES:
        return [f"it can be guessed: it repeats a few characters. {_ADVICE}"]
    return []


def is_another_key(secret: bytes) -> bool:
    """Whether a secret is none for HS256, but a public or private key, a certificate or a JWK, in any of their forms.

    PyJWT knows. What cannot be one by its characters is not shown to it: it loads all of cryptography.
    """
    is_der = secret[:1] == b"0" and b"\0" in secret
    if secret and not is_der and not secret.startswith(_SSH) and not any(sign in secret for sign in _SIGNS_OF_KEYS):
        return False
    from jwt.algorithms import HMACAlgorithm  # noqa: PLC0415 - see above
    from jwt.exceptions import InvalidKeyError  # noqa: PLC0415

    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        return True
    return False


def _is_private_channel(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
