"""The counters that requests add to."""

from __future__ import annotations

from collections import Counter
from typing import Final

import orjson

from userline.common import texts
from userline.telemetry.metrics.histogram import IDS, Histogram

OK: Final = "OK"
"""The code of an operation without errors."""

REFUSED: Final = "refused"
"""What stands for the name of an operation that was refused before it was known to be a good one."""

UNNAMED: Final = "unnamed"
OTHER: Final = "other"

_MOST_NAMES: Final = 100

LONGEST_NAME: Final = 64
"""So many characters of a name of a caller's are shown, in metrics, logs and traces."""


class Metrics:
    """The counters of one gateway process. For one event loop."""

    def __init__(self) -> None:
        self.failed_requests: Counter[tuple[str, str]] = Counter()
        self.request_seconds: dict[str, Histogram] = {}
        self.http_responses: Counter[tuple[str, int]] = Counter()
        """Those of the application: what the fast lane and the shortcut answer is counted by them."""
        self.store_errors: Counter[str] = Counter()
        self.store_seconds: dict[str, Histogram] = {}
        self.store_batch_ids = Histogram(IDS)
        self.bus_lag = Histogram()
        self.loop_lag = Histogram()
        self.turn_wait = Histogram()

    def request(self, operation: str | None, code: str, seconds: float) -> None:
        """Count an operation that has ended, or a subscription that has begun, with its first error's code or ``OK``.

        ``operation`` is its name in the document, None if it has none. The first 100 names are counted under
        themselves, later ones and very long ones as "other", so that clients cannot make the metrics grow.
        """
        name = self._counted_as(operation)
        self.request_seconds[name].add(seconds)
        if code != OK:
            self.failed_requests[name, code] += 1

    def time_of(self, operation: str | None) -> Histogram:
        """Return the histogram to which the seconds of an operation are added; that counts it as one without errors."""
        return self.request_seconds[self._counted_as(operation)]

    @property
    def requests(self) -> dict[tuple[str, str], int]:
        """How many operations of each name ended with which code."""
        good = {name: histogram.count for name, histogram in self.request_seconds.items()}
        for (name, _), count in self.failed_requests.items():
            good[name] -= count
        return {**self.failed_requests, **{(name, OK): count for name, count in good.items() if count}}

    def http(self, method: str, status: int) -> None:
        """Count an answer to an HTTP request."""
        self.http_responses[method if method in _METHODS else OTHER, status] += 1

    def store_call(self, call: str, seconds: float, *, failed: bool) -> None:
        """Count a call of the store."""
        histogram = self.store_seconds.get(call)
        if histogram is None:
            histogram = self.store_seconds[call] = Histogram()
        histogram.add(seconds)
        if failed:
            self.store_errors[call] += 1

    def _counted_as(self, operation: str | None) -> str:
        """Return the name that an operation is counted under, and see that there is a histogram."""
        name = UNNAMED if operation is None else operation
        if name not in self.request_seconds:
            fixed = name in _FIXED
            if not fixed and (len(name) > LONGEST_NAME or len(self.request_seconds.keys() - _FIXED) >= _MOST_NAMES):
                name = OTHER
            self.request_seconds.setdefault(name, Histogram())
        return name


_FIXED: Final = {REFUSED, UNNAMED, OTHER}
_METHODS: Final = {"GET", "POST", "PUT", "HEAD", "OPTIONS"}


def cut(name: str) -> str:
    """Return a name as it is shown."""
    return texts.cut(name, LONGEST_NAME)


def code_of(response: bytes) -> str:
    """Return the code of the first error in a GraphQL response, ``OK`` if it has none."""
    if b'"errors":[' not in response:
        return OK
    errors = orjson.loads(response).get("errors")
    return str(errors[0]["extensions"]["code"]) if errors else OK
