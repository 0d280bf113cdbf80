"""The fast lane: the protocol class offers it what was read, and gets back what is to be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.lane.heads import REQUEST_LINE

if TYPE_CHECKING:
    from userline.execution.operation import Response
    from userline.gateway.lane.answering import Taken
    from userline.gateway.lane.heads import Headers
    from userline.gateway.runtime import Runtime


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

    def take(self, data: bytes, start: int, client: tuple[str, int] | None) -> tuple[Taken, int] | None:
        """Begin to answer the request at ``start``; return it and where it ends, or None to leave it alone.

        It is left alone if any of it is still to come.
        """
        if not data.startswith(REQUEST_LINE, start):
            return None
        answering = self._answering
        body_start = data.find(b"\r\n\r\n", start) + 4
        head = answering.heads.of_bytes(data[start:body_start]) if body_start > start else None
        end = body_start + head.body_bytes if head else 0
        if head is None or len(data) < end:
            return None
        viewer = answering.viewer(head)
        if viewer is None:
            return None
        taken = answering.take(head, viewer, data[body_start:end], {"client": client})
        if taken is None:
            return None
        self._runtime.lane_requests += 1
        return taken, end

    def finish(self, taken: Taken, response: Response, default_headers: Headers) -> bytes:
        """Return the whole answer as it is sent; count and log the request."""
        self._answering.finish(taken, response)
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            lines = [b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in default_headers)]
            self._start = b"".join(lines)
        return b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self._start,
            taken.head.lines,
            taken.context.request_id.encode(),
            len(response),
            response,
        )
