"""The formats in which several results are sent in one HTTP response.

Sources: https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md (distinct connections mode) and
https://www.apollographql.com/docs/graphos/routing/operations/subscriptions/multipart-protocol
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import orjson

from userline.execution.errors import format_refusal
from userline.execution.operation import refuse
from userline.gateway.negotiation import EVENT_STREAM, parse_accept

if TYPE_CHECKING:
    from userline.execution.errors import FormattedError
    from userline.execution.operation import Response
    from userline.users.errors import Unauthenticated

_SUBSCRIPTION_SPEC: Final = "1.0"
_PART: Final = b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n%b\r\n--graphql"


class Framing(Protocol):
    """A format. All attributes but the media type are bytes to send."""

    content_type: str
    opening: bytes
    """What comes before everything else."""
    beat: bytes
    """What shows that the connection lives."""

    def next(self, response: Response) -> bytes:
        """Return a result."""

    def complete(self) -> bytes:
        """Return the end, after which the client does not come back."""

    def failed(self, errors: list[FormattedError]) -> bytes:
        """Return the end of a subscription that cannot begin, or go on."""

    def expired(self, refusal: Unauthenticated) -> bytes:
        """Return the end of a stream whose token is not good any more: clients may come back with another one."""

    def farewell(self, retry_after: float) -> bytes:
        """Return what asks the client to come back after so many seconds."""


class EventStream:
    """Server-sent events: ``next`` and ``complete``.

    What says nothing is a comment, which is a line and no block: some clients take any block for an event, and stop at
    one that is not ``next``.
    """

    content_type = f"{EVENT_STREAM}; charset=utf-8"
    opening = b":\n"
    beat = b":\n"

    def next(self, response: Response) -> bytes:
        """Return a result."""
        return b"event: next\ndata: %b\n\n" % response

    def whole(self, response: Response) -> bytes:
        """Return all of a stream of one result."""
        return self.opening + self.next(response) + self.complete()

    def complete(self) -> bytes:
        """Return the end."""
        return b"event: complete\ndata: \n\n"

    def failed(self, errors: list[FormattedError]) -> bytes:
        """Return errors as the last result, and the end."""
        return self.next(refuse(errors)) + self.complete()

    def expired(self, refusal: Unauthenticated) -> bytes:
        """Return a comment; the stream ends without ``complete``, so that clients connect again, with a new token."""
        return f": {refusal.code} {refusal.message}\n".encode()

    def farewell(self, retry_after: float) -> bytes:
        """Return the time to wait; the stream ends without ``complete``, so that clients connect again."""
        return b"retry: %d\n\n" % (retry_after * 1000)


class Multipart:
    """Apollo's multipart responses. A part is read when the boundary behind it has come, so that comes with it."""

    content_type = f'multipart/mixed; boundary="graphql"; subscriptionSpec={_SUBSCRIPTION_SPEC}'
    opening = b"--graphql"
    beat = _PART % b"{}"

    def next(self, response: Response) -> bytes:
        """Return a result."""
        return _PART % (b'{"payload":%b}' % response)

    def complete(self) -> bytes:
        """Return the end."""
        return b"--\r\n"

    def failed(self, errors: list[FormattedError]) -> bytes:
        """Return errors as the last result, and the end."""
        return self.next(refuse(errors)) + self.complete()

    def expired(self, refusal: Unauthenticated) -> bytes:
        """Return an error of the transport, and the end."""
        return _PART % orjson.dumps({"payload": None, "errors": [format_refusal(refusal)]}) + self.complete()

    def farewell(self, retry_after: float) -> bytes:  # noqa: ARG002 - the protocol has no word for it
        """Return nothing: a response that ends without its last boundary tells clients that it was cut."""
        return b""


def wants_multipart(accept: str | None) -> bool:
    """Whether an ``Accept`` header takes subscriptions as multipart responses."""
    return any(
        each.name == "multipart/mixed"
        and each.parameters.get("subscriptionspec") == _SUBSCRIPTION_SPEC
        and each.weight > 0
        for each in parse_accept(accept or "")
    )
