"""What a run found: turns as they were, and the figures made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.sample import Turn
from bench.site import GATEWAY, LANE_OFF

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BUSY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Figure:
    """Medians of one server's turns. Ratios are the gateway's advantage over it: above 1 the gateway is better.

    ``cpu_ratio`` is the other way round: what part of this server's CPU time the gateway needs. ``kept`` is where a
    change is when it is answered, ``failed`` what part of all requests was not answered rightly.
    """

    server: str
    value: float
    p50: float | None
    p99: float | None
    cpu: float | None
    ratio: float | None
    lane_off_ratio: float | None
    cpu_ratio: float | None
    load_was_busy: bool
    kept: str
    failed: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The turns of all servers in one scenario, in the order in which they took them."""

    scenario: str
    about: str
    unit: str
    less_is_better: bool
    turns: dict[str, list[Turn]]
    kept: dict[str, str] = field(default_factory=dict)

    def figures(self) -> list[Figure]:
        return [self._figure(server) for server in self.turns]

    def _figure(self, server: str) -> Figure:
        turns = self.turns[server]
        loads = [turn.load for turn in turns if turn.load is not None]
        return Figure(
            server=server,
            value=median(turn.value for turn in turns),
            p50=self._median(server, lambda turn: turn.p50),
            p99=self._median(server, lambda turn: turn.p99),
            cpu=self._median(server, lambda turn: turn.cpu),
            ratio=self._ratio(GATEWAY, server),
            lane_off_ratio=self._ratio(LANE_OFF, server),
            cpu_ratio=self._cpu_ratio(server),
            load_was_busy=bool(loads) and median(loads) > _BUSY,
            kept=self.kept.get(server, ""),
            failed=fmean(turn.failed for turn in turns),
        )

    def _median(self, server: str, part: Callable[[Turn], float | None]) -> float | None:
        values = [value for turn in self.turns[server] if (value := part(turn)) is not None]
        return median(values) if values else None

    def _ratio(self, ours: str, server: str) -> float | None:
        """Return the median of the ratios of turns that followed each other."""
        if ours not in self.turns:
            return None
        pairs = zip(self.turns[ours], self.turns[server], strict=True)
        return median(b.value / a.value if self.less_is_better else a.value / b.value for a, b in pairs)

    def _cpu_ratio(self, server: str) -> float | None:
        pairs = zip(self.turns.get(GATEWAY, ()), self.turns[server], strict=GATEWAY in self.turns)
        ratios = [a.cpu / b.cpu for a, b in pairs if a.cpu is not None and b.cpu]
        return median(ratios) if ratios else None


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run. ``machine`` and ``versions`` say where and of what, ``left_out`` what could not be measured."""

    machine: dict[str, str]
    versions: dict[str, str]
    rounds: int
    seconds: float
    outcomes: list[Outcome] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write a file that :func:`read_results` reads."""
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_results(path: Path) -> Results:
    """Return what ``Results.write`` wrote."""
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    outcomes = [
        Outcome(**{**each, "turns": {name: [Turn(**turn) for turn in turns] for name, turns in each["turns"].items()}})
        for each in found.pop("outcomes")
    ]
    return Results(**found, outcomes=outcomes)
