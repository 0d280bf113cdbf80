"""Finds where heads and bodies of requests begin and end in the bytes of a connection. It only pauses reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.server.framing import Chunked, Sized
from userline.server.heads import HEAD_END, check_beginning
from userline.server.refusals import Malformed

if TYPE_CHECKING:
    from userline.server.flow import Unparsed
    from userline.server.heads import Head, KnownHeads

_UNWANTED_BYTES: Final = 1_048_576
"""How much of a body is read on after its request was answered, so that the connection can be kept."""

_END_BYTES: Final = len(HEAD_END)

_EMPTY_LINES: Final = 8
"""How many may stand before a request: there are clients that put one behind a body."""


class RequestReader:
    """Takes heads and bodies in turn from what is unparsed: call :meth:`decode` while there is a body."""

    __slots__ = ("_body", "_empty_lines", "_heads", "_known", "_most_head_bytes", "_unparsed", "_unwanted")

    def __init__(self, unparsed: Unparsed, heads: KnownHeads, most_head_bytes: int) -> None:
        self._unparsed = unparsed
        self._heads = heads
        self._known = heads.get
        self._most_head_bytes = most_head_bytes
        self._body: Sized | Chunked | None = None
        self._unwanted = 0
        self._empty_lines = 0

    @property
    def has_body(self) -> bool:
        """Whether some of the body of the last request is still to be taken."""
        return self._body is not None

    @property
    def is_amid(self) -> bool:
        """Whether something of a request was taken that is not there whole, if no more than empty lines."""
        return self._body is not None or self._empty_lines > 0

    def head(self) -> Head | None:
        """Return the next head if it is there whole; :meth:`begin_body` is to follow. Raises Malformed."""
        unparsed, most = self._unparsed, self._most_head_bytes
        data, start = unparsed.data, unparsed.position
        while data.startswith(b"\r\n", start):
            self._empty_lines += 1
            if self._empty_lines > _EMPTY_LINES:
                raise Malformed("request", "Too many empty lines stand before the request.")
            unparsed.position = start = start + 2
        searched = unparsed.searched - _END_BYTES
        found = data.find(HEAD_END, max(searched, start), start + most)
        if found < 0:
            if len(data) - start >= most:
                raise Malformed("headers", f"The headers are larger than {most} bytes, which is the limit.", 431)
            check_beginning(data, start)
            unparsed.searched = len(data)
            return None
        end = found + _END_BYTES
        raw = data[start:end]
        head = self._known(raw) or self._heads.of_bytes(raw)
        unparsed.position = end
        self._empty_lines = 0
        return head

    def begin_body(self, head: Head) -> bytes | None:
        """Return the body if it is there whole; else it is to be taken by :meth:`decode`."""
        size = head.body_bytes
        if size == 0:
            return b""
        unparsed = self._unparsed
        start = unparsed.position
        if size is not None and size <= len(unparsed.data) - start:
            unparsed.position = start + size
            return unparsed.data[start : start + size]
        self._body = Chunked(self._most_head_bytes) if size is None else Sized(size)
        self._unwanted = 0
        return None

    def decode(self) -> bytes:
        """Return content of the body, as much as is there and not too much at once. Raises Malformed."""
        body = self._body
        if body is None:
            return b""
        unparsed = self._unparsed
        content, unparsed.position = body.decode(unparsed.data, unparsed.position)
        if body.is_complete:
            self._body = None
        return content

    def can_pass_over(self) -> bool:
        """Whether what is still to come of the body is little for sure, so that the connection can be kept."""
        body = self._body
        return body is None or (isinstance(body, Sized) and body.is_within(_UNWANTED_BYTES))

    def pass_over(self) -> bool:
        """Take a part of a body that nobody wants, and return whether it may go on. Raises Malformed."""
        start = self._unparsed.position
        self.decode()
        self._unwanted += self._unparsed.position - start
        return self._unwanted <= _UNWANTED_BYTES

    def drop(self) -> None:
        """Forget everything that is there, and what was begun."""
        self._body = None
        self._unparsed.clear()
