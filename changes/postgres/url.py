"""Checks of the URL of a PostgreSQL bus."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_PORT: Final = 5432
_EXAMPLE: Final = "An example: postgres://USER:PASSWORD@127.0.0.1:5432/DATABASE."
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:@/]+)(:\d{1,5})?")
_PORTS: Final = re.compile(r"\d{1,5}(,\d{1,5})*")


def check_postgres_url(url: str) -> None:
    """Raise ValueError, with a sentence that says what to write, if ``url`` is no URL of a PostgreSQL.

    It may have several hosts, separated by commas, of which the first that fits ``target_session_attrs`` is taken.
    """
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ValueError(f"The URL of the bus is not a valid URL. {_EXAMPLE}") from None
    if parts.fragment or "#" in url or parts.netloc.count("@") > 1:
        raise ValueError(
            "The URL of the bus has @, : or # at a place where they are not allowed: in a password, write %40, %3A and "
            "%23."
        )
    hosts = parts.netloc.rpartition("@")[2]
    for host in hosts.split(",") if hosts else ():
        if not _HOST.fullmatch(host) or not _is_port(host.rpartition(":")[2] if _has_port(host) else "1"):
            raise ValueError(f"The URL of the bus is not a valid URL: a host or a port in it is wrong. {_EXAMPLE}")
    if not hosts and not options.get("host"):
        raise ValueError(f"The URL of the bus has no host. {_EXAMPLE}")
    if not unquote(parts.path).strip("/") and not (options.get("dbname") or options.get("database")):
        raise ValueError(f"The URL of the bus names no database. {_EXAMPLE}")
    for option, value in options.items():
        check = _OPTIONS.get(option)
        if check is None:
            raise ValueError(
                "The URL of the bus has an option that is not known. These are known: " + ", ".join(_OPTIONS) + "."
            )
        if not check(value):
            raise ValueError(f"The URL of the bus has an option with a value that is not allowed: {option}.")


def hosts_of(url: str) -> list[tuple[str, int]]:
    """Return the hosts and ports in a URL that was checked. Sockets in the file system are none."""
    found = []
    for host in urlsplit(url).netloc.rpartition("@")[2].split(","):
        name, port = host.rsplit(":", 1) if _has_port(host) else (host, str(_PORT))
        found.append((unquote(name).strip("[]"), int(port)))
    return [(name, port) for name, port in found if name]


def _has_port(host: str) -> bool:
    return bool(re.search(r":\d+$", host)) and not host.endswith("]")


def _is_port(text: str) -> bool:
    return 0 < int(text) <= 65535


def _is_anything(value: str) -> bool:
    return bool(value) and "\0" not in value


def _is_file(value: str) -> bool:
    return Path(value).is_file() if _is_anything(value) else False


def _has_certificates(value: str) -> bool:
    try:
        ssl.create_default_context(cafile=value)
    except (OSError, ValueError):
        return False
    return True


_TLS_VERSIONS: Final = frozenset({"TLSv1.2", "TLSv1.3"})

# What a URL may say beyond the address. Anything else that asyncpg takes, such as settings of the server, is set here.
_OPTIONS: Final[dict[str, Callable[[str], bool]]] = {
    "sslmode": frozenset({"disable", "prefer", "require", "verify-ca", "verify-full"}).__contains__,
    "sslrootcert": _has_certificates,
    "sslcert": _is_file,
    "sslkey": _is_file,
    "sslpassword": _is_anything,
    "sslcrl": _is_file,
    "ssl_min_protocol_version": _TLS_VERSIONS.__contains__,
    "ssl_max_protocol_version": _TLS_VERSIONS.__contains__,
    "target_session_attrs": frozenset({"any", "primary", "read-write"}).__contains__,
    "host": _is_anything,
    "port": lambda value: bool(_PORTS.fullmatch(value)) and all(map(_is_port, value.split(","))),
    "user": _is_anything,
    "password": _is_anything,
    "dbname": _is_anything,
    "database": _is_anything,
}
