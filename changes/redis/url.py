"""Checks of the URL of a Redis server, of Sentinels, or of a cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SENTINEL_PORT: Final = 26379
_PORT: Final = 6379

# What a URL may say beyond the address. Anything else that redis-py takes, such as time-outs, is set here.
_OPTIONS: Final = ("username", "password", "db", "client_name", "protocol")
_SENTINEL_OPTIONS: Final = ("sentinel_username", "sentinel_password")
_TLS_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_TLS_OPTION: Final = re.compile(r"ssl_\w+")

_SCHEME: Final = re.compile(r"(?:redis|valkey)(s?)(?:\+(sentinel|cluster))?", re.IGNORECASE)
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:@/,;]+)(?::(\d{1,5}))?")

_EXAMPLES: Final = {
    "redis": "redis://127.0.0.1:6379",
    "sentinel": "redis+sentinel://10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379/MASTER",
    "cluster": "redis+cluster://10.0.0.1:6379,10.0.0.2:6379",
}

Node = tuple[str, int]
"""A host and a port."""


@dataclass(frozen=True, slots=True)
class Address:
    """The contents of a URL. All options are redis-py's, for a connection to one node."""

    kind: Literal["redis", "sentinel", "cluster"]
    nodes: tuple[Node, ...]
    """The Redis, the Sentinels, or nodes of the cluster."""
    options: Mapping[str, Any]
    connection_class: type[AbstractConnection]
    master: str = ""
    """What the Sentinels call it."""
    sentinel_options: Mapping[str, Any] = field(default_factory=dict)
    """For connections to Sentinels, which have users and passwords of their own."""

    def connection(self, node: Node, *, seconds: float, of_sentinel: bool = False) -> AbstractConnection:
        """Make a connection, which is not open yet. It is never opened a second time by itself."""
        host, port = node
        options = dict(self.sentinel_options if of_sentinel else self.options)
        return self.connection_class(
            **options | {"host": host, "port": port},
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=seconds,
            socket_timeout=seconds,
        )


def address_of(url: str) -> Address:
    """Return what a URL says. Raises ValueError, with a sentence that says what to write and nothing of the URL."""
    scheme, _, rest = url.partition("://")
    known = _SCHEME.fullmatch(scheme)
    kind: Any = known[2].lower() if known and known[2] else "redis"
    example = f"An example: {_EXAMPLES[kind]}."
    try:
        parts = urlsplit(f"redis://{rest}")
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise ValueError(f"The URL of the bus is not a valid URL. {example}") from None
    user, _, hosts = parts.netloc.rpartition("@")
    nodes = tuple(_node(host, _SENTINEL_PORT if kind == "sentinel" else _PORT, example) for host in hosts.split(","))
    if kind == "redis" and len(nodes) > 1:
        raise ValueError(
            "The URL of the bus has several hosts, but redis:// is for one host. For Sentinels it is "
            f"{_EXAMPLES['sentinel']}, for a cluster {_EXAMPLES['cluster']}."
        )
    master, path = _master_of(parts.path, kind, example)
    own, sentinels = _options_of(query, kind)
    tls = "s" if known and known[1] else ""
    at = f"redis{tls}://{user}@host" if user else f"redis{tls}://host"
    options, connection_class = _parsed(f"{at}{path}?{urlencode(own)}")
    if kind == "cluster" and options.get("db"):
        raise ValueError(
            f"The URL of the bus has a numbered database, but a cluster has no numbered databases. {example}"
        )
    shared = {name: value for name, value in options.items() if name.startswith("ssl_") or name == "protocol"}
    return Address(kind, nodes, options, connection_class, master, shared | sentinels)


def check_redis_url(url: str) -> None:
    """Raise ValueError, with a sentence that says what to write, if ``url`` leads to no Redis."""
    address_of(url)


def _node(text: str, port: int, example: str) -> Node:
    if not text:
        raise ValueError(f"The URL of the bus has no host. {example}")
    host = _HOST.fullmatch(text)
    if not host or not 0 < int(host[2] or port) <= 65535:
        raise ValueError(f"The URL of the bus is not a valid URL: a host or a port in it is wrong. {example}")
    return unquote(host[1]).strip("[]"), int(host[2] or port)


def _master_of(path: str, kind: str, example: str) -> tuple[str, str]:
    """Return the name of the master, and what is left of the path: the number of a database."""
    if kind != "sentinel":
        return "", path
    name, _, database = path.removeprefix("/").partition("/")
    if not name or not re.fullmatch(r"\d*", database):
        raise ValueError(f"The URL of the bus must end with the name by which the Sentinels know the master. {example}")
    return unquote(name), f"/{database}"


def _options_of(query: list[tuple[str, str]], kind: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options of a node, and those for Sentinels alone by redis-py's names."""
    known = _OPTIONS + (_SENTINEL_OPTIONS if kind == "sentinel" else ())
    for option, _ in query:
        if option not in known and not _TLS_OPTION.fullmatch(option):
            raise ValueError(
                "The URL of the bus has an option that is not known. These are known: " + ", ".join(known) + ", and "
                "for TLS " + ", ".join(_TLS_FILES) + ", ssl_password, ssl_check_hostname."
            )
    own = {name: value for name, value in query if name not in _SENTINEL_OPTIONS}
    return own, {name.removeprefix("sentinel_"): value for name, value in query if name in _SENTINEL_OPTIONS and value}


def _parsed(url: str) -> tuple[dict[str, Any], type[AbstractConnection]]:
    """Return redis-py's options for a URL of one host, as far as they are not of its address."""
    try:
        options: dict[str, Any] = dict(parse_url(url))
        options.pop("host")
        kind: type[AbstractConnection] = options.pop("connection_class", Connection)
        if "ssl_certfile" in options:
            options.setdefault("ssl_password", "")  # or OpenSSL asks whoever sits at the terminal
        connection = kind(**options)
    except (RedisError, TypeError, ValueError):
        raise ValueError(
            "The URL of the bus has an option that is not known, or with a value that is not allowed. Options that "
            "begin with "
            "ssl_ are for rediss://."
        ) from None
    if isinstance(connection, SSLConnection):
        _check_files(options, connection)
    return options, kind


def _check_files(options: Mapping[str, Any], connection: SSLConnection) -> None:
    for name in _TLS_FILES:
        if name in options and not _is_readable(options[name]):
            raise ValueError(f"The URL of the bus names a file in {name} that is not there, or cannot be read.")
    try:
        connection.ssl_context.get()
    except (OSError, TypeError, ValueError, AttributeError):
        raise ValueError(
            "The URL of the bus has options for TLS that cannot be used. ssl_ca_certs is a file with certificates "
            "(PEM); ssl_certfile and ssl_keyfile are a certificate and its key, with ssl_password if that has one."
        ) from None


def _is_readable(path: str) -> bool:
    try:
        with Path(path).open("rb"):
            return True
    except (OSError, ValueError):
        return False
