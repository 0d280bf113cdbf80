"""The checks of single values, each with the sentence that says what to do."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

import orjson

from userline.changes import channels
from userline.changes import factory as buses
from userline.server.listeners import UNIX, UNIX_CLIENT
from userline.storage import factory
from userline.users import validation

DEFAULT_LOCALE: Final = "en"

MAX_PORT: Final = 65_535
_MOST_PATH_BYTES: Final = 105
"""What the path of a Unix socket may have, on the narrowest of systems."""
_TYPE_PREFIX = re.compile(r"(?:[A-Z][0-9A-Za-z]{0,39})?", re.ASCII)
_APP_ID = re.compile(r"[A-Za-z0-9._~-]{1,255}")
_ORIGIN = re.compile(r"(?!wss?:)[a-z][a-z0-9+.-]*://[a-z0-9._~\[\]:-]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")


def check_hosts(value: str) -> str:
    """Addresses to listen on, separated by commas."""
    hosts = [part.strip() for part in value.split(",")]
    for host in hosts:
        if host.startswith(UNIX):
            if not host.removeprefix(UNIX).startswith("/") or len(host.encode()) > _MOST_PATH_BYTES:
                raise ValueError("A Unix socket is unix: and a path from the root, such as unix:/run/userline.sock.")
        else:
            _check_host(host)
    if len(set(hosts)) < len(hosts):
        raise ValueError("It names an address twice.")
    return ",".join(hosts)


def _check_host(value: str) -> None:
    if _ip(value) is None and not _HOST_NAME.fullmatch(value):
        raise ValueError(
            "It must be IP addresses or host names, such as 127.0.0.1 or ::1, without a port and separated by commas, "
            "or unix: and a path."
        )


def check_address(value: str | None) -> str | None:
    """A host and a port."""
    if value is not None:
        host, port = split_address(value)
        _check_host(host)
        if not port.isascii() or not port.isdigit() or int(port[:6]) > MAX_PORT:
            raise ValueError(
                f"It must be HOST:PORT, such as 127.0.0.1:9100 or [::1]:9100, with a port up to {MAX_PORT}."
            )
    return value


def split_address(value: str) -> tuple[str, str]:
    """Return the host and the port of an address such as ``[::1]:9100``."""
    host, _, port = value.rpartition(":")
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host), port


def check_jwks_url(value: str | None) -> str | None:
    """The http(s) URL of a set of keys."""
    if value is not None:
        check_url(value)
    return value


def check_origins(value: str | None) -> str | None:
    """Origins as browsers send them, separated by commas, in one spelling."""
    return ",".join(normal_origin(part.strip()) for part in value.split(",")) if value else None


def check_header_names(value: str | None) -> str | None:
    """Names of headers, separated by commas, or ``*``."""
    names = [part.strip().lower() for part in value.split(",")] if value else []
    if not all(map(_HEADER_NAME.fullmatch, names)):
        raise ValueError("It must be names of headers, separated by commas, such as x-client,x-tenant, or * for any.")
    return ",".join(names) or None


def check_proxies(value: str | None) -> str | None:
    """IP addresses and networks, separated by commas, and perhaps ``unix``."""
    parts = [part.strip() for part in value.split(",")] if value else []
    for part in parts:
        try:
            _ = part == UNIX_CLIENT[0] or ipaddress.ip_network(part)
        except ValueError:
            raise ValueError(
                "It must be IP addresses or networks, separated by commas, such as 10.0.0.5,192.168.0.0/16, or unix "
                "for connections by a Unix socket."
            ) from None
    return ",".join(parts) or None


def check_app_id(value: str) -> str:
    """An id that can stand in a URL as it is."""
    if not _APP_ID.fullmatch(value) or not value.strip("."):
        raise ValueError("It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes.")
    return value


def check_locale(value: str) -> str:
    """A BCP 47 language tag."""
    if value == DEFAULT_LOCALE:
        return value  # without the tables of all others
    try:
        return validation.check_locale(value)
    except ValueError as error:
        raise ValueError(f"It {error}") from None


def check_store_url(value: str) -> str:
    """The URL of a store that this version has."""
    factory.check_store_url(value)
    return value


def check_bus_url(value: str) -> str:
    """The URL of a bus that this version has."""
    buses.check_bus_url(value)
    return value


def check_bus_prefix(value: str) -> str:
    """What names of channels can begin with."""
    channels.check_prefix(value)
    return value


def check_type_prefix(value: str) -> str:
    """What names of GraphQL types can begin with."""
    if not _TYPE_PREFIX.fullmatch(value):
        raise ValueError("It must be a capital letter and other letters or digits, at most 40, such as Userline.")
    return value


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
    """Return an origin as browsers send it: in lower case, without a default port. Raises ValueError.

    It is that of a web page, that of an app which shows pages of its own (``capacitor://localhost``), or ``null``.
    """
    problem = (
        "It must be origins, separated by commas, such as https://app.example.com or capacitor://localhost: "
        "scheme, host and port, without a path. (Or null, which is the origin of many local pages.)"
    )
    text = value.lower()
    if text == "null":
        return text
    if not _ORIGIN.fullmatch(text):
        raise ValueError(problem)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(problem) from None
    if not host:
        if text != "file://":  # pages of Android's web views
            raise ValueError(problem)
        return text
    origin = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}"
    return origin if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{origin}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    if host.startswith(UNIX):
        return True
    address = _ip(host)
    return address.is_loopback if address else host.lower().rstrip(".") == "localhost"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
