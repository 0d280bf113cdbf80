"""The table: aligned for a terminal, and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.results import Figure, Outcome, Results

_HEAD: Final = ("scenario", "server", "figure", "ratio", "lane off", "p50 / p99", "CPU", "CPU ratio", "kept in")
_TEXT_COLUMNS: Final = 2


def render(results: Results) -> str:
    """Return the table, and below it what one should know of it."""
    cells = [_HEAD, *(_cells(outcome, figure) for outcome in results.outcomes for figure in outcome.figures())]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    rule = [
        "-" * (width + 2) if column < _TEXT_COLUMNS else "-" * (width + 1) + ":" for column, width in enumerate(widths)
    ]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, f"|{'|'.join(rule)}|")
    limited = [
        f"{outcome.scenario} ({figure.server})"
        for outcome in results.outcomes
        for figure in outcome.figures()
        if figure.load_was_busy
    ]
    if limited:
        lines += ["", f"The load was busy all the time, so that the server may be faster: {', '.join(limited)}."]
    failed = [
        f"{outcome.scenario} ({figure.server}): {figure.failed:.1%}"
        for outcome in results.outcomes
        for figure in outcome.figures()
        if figure.failed
    ]
    if failed:
        lines += ["", f"Requests that were not answered rightly, and are not in the figure: {', '.join(failed)}."]
    if results.left_out:
        lines += ["", *results.left_out]
    return "\n".join(lines)


def conditions(results: Results) -> str:
    """Return where and how the run was made, in sentences."""
    machine = ", ".join(results.machine.values())
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return f"{machine}; {results.rounds} rounds of {results.seconds:g} s.\n\n{versions}."


def shown(outcome: Outcome, value: float) -> str:
    """Return a value with its unit."""
    if outcome.less_is_better:
        return f"{value:,.1f} {outcome.unit}"
    return f"{value:,.0f} /s"


def _cells(outcome: Outcome, figure: Figure) -> tuple[str, ...]:
    times = "-" if figure.p50 is None or figure.p99 is None else f"{figure.p50:.1f} / {figure.p99:.1f} ms"
    return (
        outcome.scenario,
        figure.server,
        shown(outcome, figure.value),
        _ratio(figure.ratio),
        _ratio(figure.lane_off_ratio),
        times,
        "-" if figure.cpu is None else f"{figure.cpu:,.1f} µs",
        _ratio(figure.cpu_ratio),
        figure.kept or "-",
    )


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        f"{cell:<{width}}" if column < _TEXT_COLUMNS else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(aligned)} |"
