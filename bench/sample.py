"""What one turn of one server measured, and what a load is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


@dataclass(slots=True)
class Sample:
    """``count`` things happened in ``seconds``; each took one of ``latencies``, in seconds."""

    count: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    def latency(self, percent: float) -> float:
        """Return the latency that ``percent`` of all stayed below, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


@dataclass(slots=True)
class Turn:
    """A sample; the server's CPU time for each thing in µs; and how busy this process was with it (1 = wholly)."""

    sample: Sample
    cpu: float | None
    load: float


class Load(Protocol):
    """Keeps one server busy. Entered once, run many times."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def run(self, seconds: float) -> Sample:
        """Load the server for so long and return when it has answered all. Raises ConnectionError, ValueError."""
