"""Sessions that several parts of a program use without knowing of each other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")


@dataclass(slots=True)
class _Share(Generic[S]):
    session: S
    holders: int = 0


class Shares(Generic[S]):
    """One session for each key, in each event loop, for as long as somebody holds it."""

    def __init__(self) -> None:
        self._by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[object, _Share[S]]] = WeakKeyDictionary()

    def hold(self, key: object, make: Callable[[], S]) -> S:
        """Return the session of a key, made now if there is none; ``let_go`` of it once."""
        shares = self._by_loop.setdefault(asyncio.get_running_loop(), {})
        share = shares.get(key)
        if share is None:
            share = shares[key] = _Share(make())
        share.holders += 1
        return share.session

    def let_go(self, key: object) -> bool:
        """Hold the session of a key no more; return whether nobody does now."""
        shares = self._by_loop.get(asyncio.get_running_loop(), {})
        share = shares.get(key)
        if share is None:
            return True
        share.holders -= 1
        if not share.holders:
            del shares[key]
        return not share.holders
