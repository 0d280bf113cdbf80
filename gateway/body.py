"""Reads bodies of requests: up to a limit, JSON only, optionally compressed with gzip."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

from userline.common.repeated_names import find_repeated_name
from userline.execution.json_values import JSONRefused, decode
from userline.gateway.header_fields import joined, lines_of, with_parameters
from userline.gateway.negotiation import JSON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

_GZIP: Final = frozenset({"gzip", "x-gzip"})


class BodyRefused(Exception):
    """A body that is too large or not JSON. ``field`` is the part of the request that is wrong."""

    def __init__(self, status: int, field: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.headers = headers or {}


async def read_json(request: Request, most: int, *, allows_repeated_names: bool = True) -> Any:
    """Return the value in a JSON body of at most ``most`` bytes, before and after it is decompressed.

    Where an object has a name twice, the last value counts, unless that is refused.
    Raises BodyRefused (415, 413 or 400), and Starlette's ClientDisconnect.
    """
    check_content_type(request.headers.raw)
    is_compressed = _is_compressed(joined(request.headers.raw, b"content-encoding"))
    body = await _read(request, most)
    text = _decompressed(body, most) if is_compressed else body
    try:
        value = decode(text)
    except JSONRefused as refused:
        raise unread(refused) from None
    if not allows_repeated_names and (complaint := find_repeated_name(text, value)):
        raise unread(f"{complaint}.")
    return value


def unread(why: JSONRefused | str) -> BodyRefused:
    """Return the refusal of a body that was not read for this reason."""
    return BodyRefused(400, "body", f"The body {why}")


async def _read(request: Request, most: int) -> bytes:
    too_large = _too_large(most)
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise too_large
    return bytes(body)


def _too_large(most: int) -> BodyRefused:
    return BodyRefused(
        413, "body", f"The body is larger than {most} bytes, which is the limit (USERLINE_MAX_BODY_BYTES)."
    )


def _is_compressed(header: str | None) -> bool:
    """Whether a Content-Encoding header says gzip. Raises BodyRefused (415) for another one."""
    codings = [coding.strip().lower() for coding in (header or "").split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if len(codings) > 1 or not _GZIP.issuperset(codings):
        message = "The Content-Encoding of the body must be gzip, once, or none."
        raise BodyRefused(415, "content-encoding", message, {"accept-encoding": "gzip, identity"})
    return bool(codings)


def _decompressed(body: bytes, most: int) -> bytes:
    """Return what a gzip body of one member holds. Raises BodyRefused (400; 413 beyond ``most`` bytes)."""
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = member.decompress(body, most + 1)
    except zlib.error:
        found = b""
    if len(found) > most:
        raise _too_large(most)
    if not member.eof or member.unused_data:
        raise BodyRefused(400, "body", "The Content-Encoding of the body is gzip, but the body is not valid gzip.")
    return found


def check_content_type(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Return if the Content-Type of these headers says JSON in UTF-8. Raises BodyRefused (415)."""
    said = set(lines_of(headers, b"content-type"))
    name, parameters = with_parameters(said.pop()) if len(said) == 1 else ("", [])
    if name != JSON:
        raise BodyRefused(415, "content-type", f"The Content-Type of the body must be {JSON}.")
    if any(key == "charset" and value.lower() not in ("utf-8", "utf8") for key, value in parameters):
        raise BodyRefused(415, "content-type", "The charset of a JSON body must be UTF-8.")
