"""What one turn of one server measured, and what a load is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bench.servers import Server


@dataclass(frozen=True, slots=True)
class Sample:
    """``count`` things happened in ``seconds``, with latencies in ms; ``busy`` is the load's CPU time in seconds.

    ``failed`` is how many more were asked for and were not answered rightly, where that is allowed to be.
    """

    count: int
    seconds: float
    busy: float
    p50: float
    p99: float
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """What one server did in one turn: so many things a second, or what something costs.

    Latencies are in ms, the server's CPU time for each thing in µs, ``load`` is how busy the load was (1 = wholly),
    ``failed`` what part of the requests was not answered rightly.
    """

    value: float
    p50: float | None = None
    p99: float | None = None
    cpu: float | None = None
    load: float | None = None
    failed: float = 0.0


class Load(Protocol):
    """Keeps one server busy, again and again."""

    async def run(self, seconds: float) -> Sample:
        """Load the server for so long and return when it has answered all. Raises BenchError if one answer is wrong."""


class Work(Protocol):
    """What is asked of a server."""

    def begin(self, server: Server) -> AbstractAsyncContextManager[Load]:
        """Check that the server answers as it should, and make ready to load it."""


def percentile(ordered: list[float], percent: float) -> float:
    """Return what ``percent`` of the ordered values stay below."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
