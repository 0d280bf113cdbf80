"""The log line of each request: its contents, and which requests have one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from userline.telemetry.access_log import ACCESS_LOG
from userline.telemetry.metrics.recorder import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from userline.settings.settings import Settings
    from userline.users.viewer import Viewer

PROBES: Final = frozenset({"/healthz", "/metrics", "/readyz"})
"""What asks for these does so all the time."""

_LONGEST_PATH: Final = 256
_LONGEST_CLIENT: Final = 64
_MOST_NAMES: Final = 10
"""So many operations of a batch are named."""

_TRACE_PARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?"
)
"""Source: https://www.w3.org/TR/trace-context/#traceparent-header"""


class RequestLog:
    """Decides which requests have a line. It changes with the settings."""

    def __init__(self, settings: Settings) -> None:
        self.is_on = False
        self.has_probes = True
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self.is_on = settings.access_log and settings.log_level in ("debug", "info")
        self.has_probes = settings.log_probes

    def has(self, path: str) -> bool:
        """Whether a request to this path has a line."""
        return self.is_on and (self.has_probes or path not in PROBES)


class Asked(NamedTuple):
    """The caller, the operation and the id of a request."""

    request_id: str
    viewer: Viewer | None
    operations: Sequence[str]
    client: tuple[str, int] | None = None
    """The address that it came from; of a trusted proxy, the one that it tells."""
    trace_id: str | None = None


def log_access(method: str, path: str, status: int, seconds: float, asked: Asked) -> None:
    """Log a request: its id, who asked, the names of the operations, the outcome and the time."""
    request_id, viewer, operations, client, trace_id = asked
    told = ",".join(map(cut, operations[:_MOST_NAMES])) or None
    if len(operations) > _MOST_NAMES:
        told = f"{told} and {len(operations) - _MOST_NAMES} more"
    target = f"{method} {path if path == '/graphql' else _shown(path)}"
    log_request(request_id, viewer, told, seconds, client, trace_id, target, status)


def log_request(  # noqa: PLR0913, PLR0917 - what is to be logged, without a tuple around it: it is for every request
    request_id: str,
    viewer: Viewer | None,
    operation: str | None,
    seconds: float,
    client: tuple[str, int] | None,
    trace_id: str | None,
    target: str = "POST /graphql",
    status: int = 200,
) -> None:
    """Log a request, whose ``operation`` is named as it is to be shown."""
    milliseconds = round(seconds * 1000, 1)
    fields: dict[str, Any] = {"request_id": request_id}
    if client is not None:
        fields["client"] = shown_client(client[0])
    if viewer is not None:
        fields["viewer"] = viewer.kind._value_
    if trace_id is not None:
        fields["trace_id"] = trace_id
    if operation is not None:
        fields["operation"] = operation
    fields["status"] = status
    fields["milliseconds"] = milliseconds
    ACCESS_LOG.log(f"{target} {status} {milliseconds} ms", fields)


@lru_cache(maxsize=1024)
def shown_client(host: str) -> str:
    """Return an address as a line of the log has it: a proxy may tell anything for one."""
    return quote(host[:_LONGEST_CLIENT], safe=":.%[]")


def trace_id_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return the id of the trace that a request belongs to, if its ``traceparent`` tells a sound one."""
    for name, value in headers:
        if name == b"traceparent":
            found = _TRACE_PARENT.fullmatch(value)
            return found[1].decode() if found else None
    return None


def _shown(path: str) -> str:
    """Return a path as a line of the log has it: without line breaks, and not longer than one wants to read."""
    shown = quote(path[:_LONGEST_PATH])
    return shown if len(path) <= _LONGEST_PATH else f"{shown}…"
