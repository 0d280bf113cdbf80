"""Makes the store that a URL in the settings names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import unquote

from userline.storage.files import PRIVATE
from userline.storage.sqlite import SQLiteUserStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.storage.mongo.driver import DriverName
    from userline.storage.protocol import UserStore
    from userline.users.rules import Rules

_Maker: TypeAlias = "Callable[[Rules, DriverName, int], UserStore]"


def make_store(url: str, rules: Rules, *, mongodb_driver: DriverName = "motor", file_mode: int = PRIVATE) -> UserStore:
    """Return the store that ``url`` names, still to be opened.

    ``sqlite:///userline.db`` is a file in the working directory, ``sqlite:////var/lib/userline.db`` one with a path
    from the root; what a URL gives a meaning to (``?``, ``#``, ``%``, spaces) is percent-encoded.
    ``mongodb://user:password@host/userline`` and ``mongodb+srv://…`` are MongoDB, by the driver ``mongodb_driver``.
    ``file_mode`` says who may use the files of SQLite.

    Raises ValueError as ``check_store_url`` does, or if the store cannot keep users as large as ``rules`` allow.
    """
    return _maker(url)(rules, mongodb_driver, file_mode)


def check_store_url(url: str) -> None:
    """Raise ValueError if ``url`` names no store, with a sentence that says what would; touches no file or network.

    The sentence never has the URL in it, which may hold a password.
    """
    _maker(url)


def _maker(url: str) -> _Maker:
    scheme, colon, rest = url.partition(":")
    try:
        _, parse = _SCHEMES[scheme.lower()]
    except KeyError:
        given = f"starts with {scheme}:" if colon and _SCHEME.fullmatch(scheme) else "has no scheme"
        supported = " or ".join(example for example, _ in _SCHEMES.values())
        raise ValueError(f"The URL of the user store {given}, and only these are supported: {supported}.") from None
    return parse(url, rest)


def _sqlite(_url: str, rest: str) -> _Maker:
    if "?" in rest or "#" in rest:
        raise ValueError(
            "The URL of a SQLite user store cannot have options. Write %3F and %23 for ? and # in a file's name."
        )
    path = unquote(rest.removeprefix("///"))
    if rest in {"", "//", "///"} or path == ":memory:":
        raise ValueError("The SQLite user store needs a file, and cannot be in memory: write sqlite:///userline.db.")
    if not rest.startswith("///"):
        raise ValueError(
            "The URL of a SQLite user store has three slashes before a path: sqlite:///userline.db is in the working "
            "directory, and sqlite:////var/lib/userline.db has a path from the root."
        )
    if path.endswith("/") or "\0" in path:
        raise ValueError("The URL of a SQLite user store must name a file: write sqlite:///userline.db.")
    return lambda rules, _, mode: SQLiteUserStore(path, rules, mode=mode)


def _mongodb(url: str, _rest: str) -> _Maker:
    # It brings PyMongo and Motor, which take a good part of the start, and memory that other stores have no use for.
    from userline.storage.mongo import MongoUserStore, check_mongo_url  # noqa: PLC0415

    check_mongo_url(url)
    return lambda rules, driver, _: MongoUserStore(url, rules, driver)


_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

# Each scheme, with an example for messages, and what takes a URL and the rest of it and returns what makes the store.
_SCHEMES: Final[dict[str, tuple[str, Callable[[str, str], _Maker]]]] = {
    "sqlite": ("sqlite:///userline.db", _sqlite),
    "mongodb": ("mongodb://localhost/userline", _mongodb),
    "mongodb+srv": ("mongodb+srv://cluster.example.com/userline", _mongodb),
}
