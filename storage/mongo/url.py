"""The URL of a MongoDB user store: how it is read, and what is refused, without passwords in messages."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any, Final

from pymongo.uri_parser import parse_uri

from userline.storage.mongo.url_options import check_compressors, check_options

DEFAULT_DATABASE: Final = "userline"
DEFAULT_PORT: Final = 27017
DEFAULT_SECONDS: Final = 1.5

# What stands in a URL for a user and a password: neither may have a raw @ or /, or the parts cannot be told apart.
_USER: Final = re.compile(r"(?<=://)[^/?@]*@(?=[^@]*\Z)")
_SECRET_OPTION: Final = re.compile(r"(?<=[?&;])(?:[a-z]*password|authmechanismproperties)=[^&;]*[&;]?", re.IGNORECASE)
_SRV_OPTION: Final = re.compile(r"(?<=[?&;])srv[a-z]+=[^&;]*[&;]?", re.IGNORECASE)
_SRV: Final = re.compile(r"\Amongodb\+srv:", re.IGNORECASE)

# What a store promises does not leave these open. An option's name, what it may be, and the promise.
_FIXED: Final[dict[str, tuple[object, str]]] = {
    "w": ("majority", "a write is acknowledged by a majority"),
    "journal": (True, "a write is acknowledged once it is in the journal"),
    "readPreference": ("primary", "a read sees every write that has returned"),
    "readConcernLevel": ("majority", "a read sees only data that a majority has"),
}


@dataclass(frozen=True, slots=True)
class MongoURL:
    """A URL that names a MongoDB user store."""

    url: str
    hosts: str
    """The servers, for messages."""
    database: str
    seconds: float
    """How long one call may take: the URL's ``timeoutMS``."""
    most_connections: int
    """Its ``maxPoolSize``; 0 if it has none, or sets no bound."""
    fewest_connections: int
    """Its ``minPoolSize``."""
    options: frozenset[str]
    """The lower-case names of the options that the URL has."""

    def __repr__(self) -> str:
        return f"MongoURL({self.hosts}/{self.database})"


def check_mongo_url(url: str) -> None:
    """Raise ValueError as :func:`parse_mongo_url` does. Looks no name up and touches no network."""
    parse_mongo_url(url)


def parse_mongo_url(url: str) -> MongoURL:
    """Return what ``url`` says. Raises ValueError with a sentence that never has a password in it."""
    url = re.sub(r"\A[^:]*", lambda scheme: scheme[0].lower(), url, count=1)
    check_compressors(url)
    known = _parse(_USER.sub("user:password@", url) if "@" in url else url)
    try:
        whole = _parsed(url)
    except Exception:  # noqa: BLE001 - what it says may have the password in it
        raise ValueError(_UNREADABLE) from None
    options = {name.lower(): value for name, value in known["options"].items()}
    if known["collection"]:
        raise ValueError(
            "The URL of a MongoDB user store names a database and no collection: write mongodb://localhost/userline."
        )
    for name, (value, promise) in _FIXED.items():
        if str(options.get(name.lower(), value)).lower() != str(value).lower():
            raise ValueError(
                f"The URL of a MongoDB user store cannot set {name} to anything but {str(value).lower()}, because "
                f"{promise}. Leave it out."
            )
    check_options({name.lower(): value for name, value in whole["options"].items()}, is_srv=_SRV.match(url) is not None)
    seconds = options.get("timeoutms", DEFAULT_SECONDS)
    hosts = ", ".join(_host(*node) for node in known["nodelist"])
    return MongoURL(
        url=url,
        hosts=hosts,
        database=known["database"] or DEFAULT_DATABASE,
        seconds=seconds,
        most_connections=options.get("maxpoolsize") or 0,
        fewest_connections=options.get("minpoolsize") or 0,
        options=frozenset(options),
    )


def _host(name: str, port: int | None) -> str:
    name = f"[{name}]" if ":" in name else name
    return name if port is None or name.endswith(".sock") else f"{name}:{port}"


_UNREADABLE: Final = (
    "The URL of the MongoDB user store cannot be read. In the user's name, the password and other values, write "
    "characters that a URL gives a meaning to (: / ? # [ ] @ % &) percent-encoded, such as %40 for @."
)


def _parse(url: str) -> dict[str, Any]:
    """Parse a URL whose user and password were replaced."""
    if "user:password@" not in url and "@" in url:
        raise ValueError(_UNREADABLE)
    try:
        return _parsed(_SECRET_OPTION.sub("", url).rstrip("&;"))
    except Exception as error:  # noqa: BLE001 - pymongo raises ValueError, its own errors, and what reading a file raises
        reason = str(error).removesuffix(".")
        raise ValueError(f"The URL of the MongoDB user store cannot be used: {reason}.") from None


def _parsed(url: str) -> dict[str, Any]:
    """Parse as pymongo does, except that a name of mongodb+srv is not looked up, and its warnings are errors."""
    is_srv = bool(_SRV.match(url))
    if is_srv:
        url = _SRV_OPTION.sub("", _SRV.sub("mongodb:", url)).rstrip("&;")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parsed: dict[str, Any] = dict(parse_uri(url, default_port=None if is_srv else DEFAULT_PORT))
    nodes = parsed["nodelist"]
    if is_srv and (len(nodes) != 1 or nodes[0][1] is not None):
        raise ValueError("mongodb+srv takes one host name, without a port")
    return parsed
