"""The fast lane: the protocol class offers it what was read, and gets back what is to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.lane.lookups import Lookup

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from userline.execution.operation import Response
    from userline.gateway.runtime import Runtime
    from userline.server.heads import Headers


class Lane:
    """Takes requests of one gateway. For one event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._answering = runtime.answering
        self._default_headers: Headers | None = None
        self._start = b""

    @classmethod
    def of(cls, runtime: Runtime) -> Lane | None:
        """Return the lane of a gateway, or None if it is to have none."""
        settings = runtime.settings
        if not settings.fast_lane or not settings.plans:
            return None
        if runtime.tracer is not None:
            return None  # spans are made where the application is
        if settings.is_open and settings.trusted_proxies is not None:
            return None  # rate limits go by the address that the proxy tells, which the lane does not read
        return cls(runtime)

    def take(
        self, data: bytes, start: int, client: tuple[str, int] | None, default_headers: Headers
    ) -> tuple[bytes | Lookup | Awaitable[bytes], int] | None:
        """Answer the request at ``start``, or begin to; return the answer as it is sent and where the request ends.

        Of a lookup ``before`` is set, with which ``whole`` makes the answer. None is to leave the request alone, as is
        done if any of it is still to come.
        """
        body_start = data.find(b"\r\n\r\n", start) + 4
        answering = self._answering
        head = answering.heads.of_bytes(data[start:body_start]) if body_start > start else None
        if head is None:
            return None
        end = body_start + head.body_bytes
        viewer = answering.viewer(head) if len(data) >= end else None
        if viewer is None:
            return None
        taken = answering.take(head, viewer, data[body_start:end], {"client": client})
        if taken is None:
            return None
        self._runtime.lane_requests += 1
        request_id, response = taken
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            self._start = b"".join([b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in default_headers)])
        before = b"%b%bx-request-id: %b\r\n" % (self._start, head.lines, request_id.encode())
        if isinstance(response, bytes):
            return whole(before, response), end
        if isinstance(response, Lookup):
            response.before = before
            return response, end
        return _later(before, response), end


def whole(before: bytes, response: Response) -> bytes:
    """Return an answer, of whose head there is all but the length of the body."""
    return b"%bcontent-length: %d\r\n\r\n%b" % (before, len(response), response)


async def _later(before: bytes, response: Awaitable[Response]) -> bytes:
    return whole(before, await response)
