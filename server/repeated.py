"""A cache of whole requests by their bytes: repeated requests are parsed once."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from userline.server.bytes_cache import know_nothing
from userline.server.heads import comes_again, weight_of_head

if TYPE_CHECKING:
    from userline.server.bytes_cache import BytesCache
    from userline.server.heads import Head

MOST_BYTES: Final = 8192
"""How large requests are remembered at most."""
_MOST_SEEN: Final = 2048
"""How many requests that came once are noted, by their hash."""


@dataclass(slots=True)
class Whole:
    """A complete request."""

    head: Head
    body: bytes
    meaning: Any = field(default=None, compare=False)
    """What the body means to who answers, who may keep it here."""


class KnownRequests:
    """Requests that came more than once. Without a cache each is parsed. For one event loop.

    What is remembered of a request is what its bytes say and nothing else: who asks and what that may is looked at
    each time.
    """

    def __init__(self, cache: BytesCache[Whole] | None = None) -> None:
        self._known = cache
        self._seen: set[int] = set()
        self.get = know_nothing if cache is None else cache.get
        """Returns the request with these bytes if it is known, or None: the cache's own method, for speed."""

    def note(self, raw: bytes, request: Whole) -> None:
        """Take note of a request that was answered at once. The second time it is kept, so that others cost no more."""
        if self._known is None or len(raw) > MOST_BYTES:
            return
        number = hash(raw)
        if number not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen.add(number)
        elif comes_again(request.head):
            weight = sys.getsizeof(raw) + sys.getsizeof(request.body) + weight_of_head(request.head)
            self._known.put(raw, request, weight)

    def forget(self) -> None:
        """Take every request apart anew, as what requests mean has changed."""
        self._seen.clear()
        if self._known is not None:
            self._known.clear()
