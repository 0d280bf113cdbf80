"""Finds the end of a request's body, and its content among the bytes (RFC 9112, sections 6 and 7).

Both framings have a method ``decode`` that is given bytes and a place in them. It returns content, and the place up to
which it has looked; what is left before the end of the bytes is to be given again together with what comes next.
"""

from __future__ import annotations

import re
from typing import Final

from userline.server.refusals import Malformed

_PIECE_BYTES: Final = 65_536
"""How much is decoded at once."""

_CHUNKS: Final = 256
"""How many chunks are decoded at once: one can be as small as six bytes."""

_FRAMING_BYTES: Final = 65_536
_FRAMING_PER_BYTE: Final = 4
"""How much may stand around the chunks of a body, beyond so many times its content: one of one byte has five."""

_LINE_BYTES: Final = 1024
"""How long the line before a chunk may be, with what extensions it has."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = rb'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION: Final = rb";" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?"
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:" + _EXTENSION + rb")*\r\n")
_TRAILERS: Final = re.compile(rb"(?:" + _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*+\r\n)*+")
_END: Final = b"\r\n\r\n"


class Sized:
    """A body whose length is in ``Content-Length``."""

    __slots__ = ("_left",)

    def __init__(self, size: int) -> None:
        self._left = size

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the body is still to come."""
        return not self._left

    def is_within(self, most: int) -> bool:
        """Whether no more than ``most`` bytes are still to come."""
        return self._left <= most

    def decode(self, data: bytes, start: int) -> tuple[bytes, int]:
        """Return content, and where to go on."""
        end = min(start + self._left, start + _PIECE_BYTES, len(data))
        self._left -= end - start
        return data[start:end], end


class Chunked:
    """A body in chunks. Chunk extensions are ignored, and trailers are dropped: they never become headers."""

    __slots__ = ("_at_end_of_chunk", "_framing_left", "_in_trailers", "_left", "_most_trailer_bytes", "is_complete")

    def __init__(self, most_trailer_bytes: int) -> None:
        self._most_trailer_bytes = most_trailer_bytes
        self._left = 0
        """How much of the chunk is still to come."""
        self._at_end_of_chunk = False
        """Whether the line break behind a chunk is still to come."""
        self._framing_left = _FRAMING_BYTES
        self._in_trailers = False
        self.is_complete = False

    def decode(self, data: bytes, start: int) -> tuple[bytes, int]:
        """Return content, and where to go on. Raises Malformed."""
        pieces: list[bytes] = []
        place = start
        for _ in range(_CHUNKS):
            if self._left:
                end = min(place + self._left, start + _PIECE_BYTES, len(data))
                pieces.append(data[place:end])
                self._left -= end - place
                place = end
            if self._left or place - start >= _PIECE_BYTES:
                break
            if self._at_end_of_chunk:
                if not data.startswith(b"\r\n", place):
                    if not b"\r\n".startswith(data[place : place + 2]):
                        raise Malformed("body", "A chunk of the body is longer than its announced size.")
                    break
                self._at_end_of_chunk = False
                place += 2
            if self._in_trailers:
                place = self._pass_trailers(data, place)
                break
            line = _SIZE.match(data, place, place + _LINE_BYTES)
            if line is None:
                self._check_beginning(data, place)
                break
            place = line.end()
            self._left = int(line[1], 16)
            self._at_end_of_chunk = self._left > 0
            self._in_trailers = self._left == 0
        content = b"".join(pieces)
        self._framing_left -= place - start - len(content) * (1 + _FRAMING_PER_BYTE)
        if self._framing_left < 0 and not self.is_complete:
            raise Malformed("body", "The chunks of the body are too small compared with their framing.")
        return content, place

    def _check_beginning(self, data: bytes, place: int) -> None:
        """Return if more bytes could make the line before a chunk of what is there."""
        end = data.find(b"\n", place, place + _LINE_BYTES)
        if end >= 0 or len(data) - place >= _LINE_BYTES:
            raise Malformed(
                "body", f"A chunk of the body does not begin with its size, in at most {_LINE_BYTES} bytes."
            )

    def _pass_trailers(self, data: bytes, start: int) -> int:
        """Return where the trailers end, or where they begin if their end is still to come."""
        if data.startswith(b"\r\n", start):
            self.is_complete = True
            return start + 2
        end = data.find(_END, start, start + self._most_trailer_bytes)
        if end < 0:
            if len(data) - start >= self._most_trailer_bytes:
                most = self._most_trailer_bytes
                raise Malformed("trailers", f"The trailers are larger than {most} bytes, which is the limit.", 431)
            return start
        if not _TRAILERS.fullmatch(data, start, end + 2):
            raise Malformed("trailers", "The trailers are not lines of 'name: value'.")
        self.is_complete = True
        return end + len(_END)
