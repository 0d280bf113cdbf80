"""Puts a run into docs/performance.md, between two marks, and its plot beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.plot import draw
from bench.table import conditions, render

if TYPE_CHECKING:
    from bench.results import Results

PAGE: Final = Path(__file__).parent.parent / "docs" / "performance.md"
_BETWEEN_MARKS: Final = re.compile(r"(<!-- results: .*? -->\n).*?(<!-- end of results -->)", re.DOTALL)


def write_docs(results: Results, page: Path = PAGE) -> None:
    """Replace the results on the page, and the SVG of the same name. Raises ValueError if the page has no marks."""
    new = f"\n{conditions(results)}\n\n{render(results)}\n\n"
    text, count = _BETWEEN_MARKS.subn(lambda match: f"{match[1]}{new}{match[2]}", page.read_text(encoding="utf-8"))
    if count != 1:
        raise ValueError(f"{page} has no place for results.")
    page.write_text(text, encoding="utf-8")
    page.with_suffix(".svg").write_text(draw(results), encoding="utf-8")
