"""Requests that are answered in the protocol class, without an ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.server.heads import Headers
    from userline.server.repeated import Whole


class Awaited(Protocol):
    """A response that is not there yet."""

    def then(self, tell: Callable[[bytes | None], None], /) -> None:
        """Have the whole answer told when it is there, or None if it will never be."""


class Left(NamedTuple):
    """A request that the application has to answer. What was read of it is in its scope's state."""

    state: dict[str, Any]


Answerer: TypeAlias = "Callable[[Whole, tuple[str, int] | None, Headers], bytes | Awaited | Left | None]"
"""Answers a request that is there whole, given the client's address, and the headers of every answer.

It returns the answer as it is sent, or one that is to come, or leaves the request to the application.
"""
