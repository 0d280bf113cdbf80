"""The table: aligned for a terminal, and Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD: Final = (
    "scenario", "peer", "ratio", "ours /s", "peer /s", "ours p50 / p99", "peer p50 / p99", "ours CPU", "peer CPU"
)  # fmt: skip
_TEXT_COLUMNS: Final = 2
_BUSY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Side:
    """Medians of one server's turns: things a second, latencies in ms, CPU time for each thing in µs."""

    rate: float
    p50: float
    p99: float
    cpu: float | None

    @property
    def latencies(self) -> str:
        return f"{self.p50:.1f} / {self.p99:.1f} ms"

    @property
    def cost(self) -> str:
        return "-" if self.cpu is None else f"{self.cpu:,.0f} µs"


@dataclass(frozen=True, slots=True)
class Row:
    """The gateway and one peer in one scenario. ``load`` is how busy the load's process was at most."""

    scenario: str
    unit: str
    peer_name: str
    ours: Side
    peer: Side
    ratio: float
    load: float


def render(rows: Sequence[Row]) -> str:
    """Return the table, and below it what one should know of it."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    rule = [
        "-" * (width + 2) if column < _TEXT_COLUMNS else "-" * (width + 1) + ":" for column, width in enumerate(widths)
    ]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, f"|{'|'.join(rule)}|")
    lines += ["", f"CPU is the server's, for each {' or '.join(dict.fromkeys(row.unit for row in rows))}."]
    limited = dict.fromkeys(row.scenario for row in rows if row.load > _BUSY)
    if limited:
        lines.append(f"The load's own process was busy all the time in {', '.join(limited)}: a server may be faster.")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.scenario,
        row.peer_name,
        f"{row.ratio:.2f}x",
        f"{row.ours.rate:,.0f}",
        f"{row.peer.rate:,.0f}",
        row.ours.latencies,
        row.peer.latencies,
        row.ours.cost,
        row.peer.cost,
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        f"{cell:<{width}}" if column < _TEXT_COLUMNS else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |"
