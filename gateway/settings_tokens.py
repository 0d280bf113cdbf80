"""The checks of the settings about tokens and browsers: no gateway runs open, or checks badly, by mistake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError

from userline.gateway.settings_origins import SECRETS, describe, variable_of

if TYPE_CHECKING:
    from userline.gateway.settings import Settings
    from userline.gateway.settings_origins import Origins

MIN_SECRET_BYTES: Final = 32
"""Source: RFC 7518, section 3.2."""

_MIN_DIFFERENT_BYTES: Final = 8
_ADVICE: Final = "Make one with: openssl rand -base64 48"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9._~\[\]:-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def check_tokens(settings: Settings, origins: Origins, bad: frozenset[str]) -> list[str]:
    """Return what is wrong with how tokens would be checked. Fields in ``bad`` are known to be wrong."""
    problems = []
    production = settings.env == "production"
    if settings.secret is not None and settings.jwks_url is not None:
        problems.append(
            f"USERLINE_SECRET ({origins.of_fields['secret']}) and USERLINE_JWKS_URL ({origins.of_fields['jwks_url']}) "
            "are both set. Tokens are checked with one or the other: unset one of them."
        )
    if production and settings.is_open and not bad & {"secret", "jwks_url"}:
        problems.append(
            f"{describe('env', settings.env, origins)} In production tokens must be checked: set USERLINE_SECRET (the "
            "app's secret, such as the output of: openssl rand -base64 48) or USERLINE_JWKS_URL."
        )
    if production and settings.allow_open:
        problems.append(
            f"{describe('allow_open', settings.allow_open, origins)} In production no gateway runs open: unset it, or "
            "set USERLINE_ENV=development."
        )
    if settings.second_secret is not None and settings.secret is None and "secret" not in bad:
        problems.append(
            f"{describe('second_secret', '', origins)} There is no first one: set USERLINE_SECRET, or "
            "USERLINE_SECRET_FILE."
        )
    problems += _check_secrets(settings, origins, production=production)
    if production and settings.jwks_url is not None and not _is_private_channel(settings.jwks_url):
        problems.append(
            f"{describe('jwks_url', settings.jwks_url, origins)} In production it must start with https:, because "
            "whoever can change the keys on their way can make tokens."
        )
    return problems


def check_names(value: str | None) -> str | None:
    """Strings, separated by commas or in a JSON array."""
    names = names_in(value)
    if value is not None and not names:
        raise ValueError('It must be strings, separated by commas, or a JSON array of them: ["https://a,b", "c"].')
    return value


def names_in(value: str | None) -> tuple[str, ...]:
    """Return the strings of a list; none if it is none."""
    if value is None:
        return ()
    if not value.lstrip().startswith("["):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        names = orjson.loads(value)
    except orjson.JSONDecodeError:
        return ()
    is_sound = isinstance(names, list) and all(isinstance(name, str) and name for name in names)
    return tuple(names) if is_sound else ()


def check_url(value: str) -> None:
    """Raise ValueError unless ``value`` is an http or https URL."""
    try:
        parts = urlsplit(value)
        fine = parts.scheme in _DEFAULT_PORTS and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        fine = False
    if not fine or not value.isprintable() or " " in value:
        raise ValueError("It must be an http or https URL, such as https://login.example.com/.well-known/jwks.json.")


def normal_origin(value: str) -> str:
    """Return an origin as browsers send it: in lower case, without a default port. Raises ValueError."""
    problem = "It must be origins, separated by commas, such as https://app.example.com: scheme, host, port, no path."
    if not _ORIGIN.fullmatch(value.lower()):
        raise ValueError(problem)
    try:
        parts = urlsplit(value.lower())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(problem) from None
    if not host:
        raise ValueError(problem)
    text = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}"
    return text if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{text}:{port}"


def _check_secrets(settings: Settings, origins: Origins, *, production: bool) -> list[str]:
    """Return what is wrong with each of the secrets."""
    problems = []
    for name in SECRETS:
        secrets = settings.secrets_of(name)
        for number, secret in enumerate(secrets, 1):
            which = f"{variable_of(name)} is set ({origins.of_fields[name]}), but"
            if len(secrets) > 1:
                which += f" of its secret in line {number}:"
            problems += [f"{which} {problem}" for problem in _weaknesses(secret, production=production)]
    return problems


def _weaknesses(secret: bytes, *, production: bool) -> list[str]:
    algorithm = HMACAlgorithm(HMACAlgorithm.SHA256)
    try:
        key = algorithm.prepare_key(secret)
    except InvalidKeyError:
        return ["it is a key of another kind (PEM, SSH or JWK). HS256 needs a secret of random characters."]
    if production and len(key) < MIN_SECRET_BYTES:
        return [f"it has {len(key)} bytes, and in production it needs {MIN_SECRET_BYTES}. {_ADVICE}"]
    if production and len(set(key)) < _MIN_DIFFERENT_BYTES:
        return [f"it can be guessed: it repeats a few characters. {_ADVICE}"]
    return []


def _is_private_channel(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")
