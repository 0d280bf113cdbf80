"""The figures of a run as bars: an SVG drawn by hand."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from bench.site import GATEWAY, LANE_OFF
from bench.table import shown

if TYPE_CHECKING:
    from bench.results import Outcome, Results

_WIDTH: Final = 860
_BAR_LEFT: Final = 190
_BAR_WIDTH: Final = 520
_LINE: Final = 20
_GAP: Final = 18
_COLORS: Final = {GATEWAY: "#1a7f5a", LANE_OFF: "#7cc4a6"}
_PEER_COLOR: Final = "#9aa4b2"
_STYLE: Final = (
    "text{font:12px system-ui,sans-serif;fill:#3d4756}.head{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}"
)


def draw(results: Results) -> str:
    """Return the SVG. The longest bar of a scenario is its largest figure."""
    parts: list[str] = []
    y = 0
    for outcome in results.outcomes:
        y += _GAP
        better = "less is better" if outcome.less_is_better else "more is better"
        unit = outcome.unit if outcome.less_is_better else f"{outcome.unit} a second"
        parts.append(_text(0, y, f"{outcome.scenario}: {unit}, {better}", "head"))
        parts += _bars(outcome, y)
        y += _LINE * len(outcome.turns) + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}">'
    return "\n".join([head, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def _bars(outcome: Outcome, top: int) -> list[str]:
    figures = outcome.figures()
    longest = max(figure.value for figure in figures)
    lines = []
    for number, figure in enumerate(figures):
        y = top + 8 + number * _LINE
        width = max(1, round(figure.value / longest * _BAR_WIDTH))
        color = _COLORS.get(figure.server, _PEER_COLOR)
        lines += [
            _text(0, y + 12, figure.server),
            f'<rect x="{_BAR_LEFT}" y="{y}" width="{width}" height="{_LINE - 5}" rx="2" fill="{color}"/>',
            _text(_BAR_LEFT + width + 8, y + 12, shown(outcome, figure.value)),
        ]
    return lines


def _text(x: int, y: int, text: str, style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text x="{x}" y="{y}"{named}>{escape(text)}</text>'
