"""The address of a client behind trusted proxies, found in the same way as in Uvicorn."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

_REMEMBERED: Final = 1024
_LONGEST: Final = 1024


class TrustedProxies:
    """The trusted proxies: addresses and networks, separated by commas."""

    def __init__(self, proxies: str) -> None:
        self._trusted = ProxyHeadersMiddleware(_nothing, proxies).trusted_hosts
        self._told = lru_cache(maxsize=_REMEMBERED)(self._find)

    def client(self, peer: tuple[str, int] | None, forwarded_for: str) -> tuple[str, int] | None:
        """Return the client that a peer tells of, or the peer itself if it is not believed."""
        find = self._told if len(forwarded_for) <= _LONGEST else self._find
        return find(peer[0] if peer else None, forwarded_for) or peer

    def _find(self, peer: str | None, forwarded_for: str) -> tuple[str, int] | None:
        if peer not in self._trusted:
            return None
        host, port = self._trusted.get_trusted_client_address(forwarded_for)
        return (host, port) if host else None


async def _nothing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Serve nobody."""
