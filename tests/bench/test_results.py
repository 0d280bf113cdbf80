"""What is made of turns: figures, the file, the table, the page and the plot."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import orjson
import pytest
from bench.docs import PAGE, write_docs
from bench.results import Outcome, Results, read_results
from bench.sample import Turn
from bench.table import render

if TYPE_CHECKING:
    from pathlib import Path

READ = Outcome(
    "read",
    "reads",
    "requests",
    less_is_better=False,
    turns={
        "userline": [Turn(value, 1.0, 2.0, 10.0, 0.5) for value in (100.0, 900.0, 300.0)],
        "userline-lane-off": [Turn(value, 2.0, 3.0, 20.0, 0.5) for value in (50.0, 450.0, 150.0)],
        "slow & steady": [Turn(value, 3.0, 4.0, 40.0, 0.95, 0.25) for value in (10.0, 300.0, 100.0)],
    },
    kept={"userline": "disk", "userline-lane-off": "disk"},
)
MEMORY = Outcome(
    "memory",
    "weighs",
    "KiB",
    less_is_better=True,
    turns={"userline": [Turn(20.0)], "slow & steady": [Turn(50.0)]},
)


def results() -> Results:
    return Results({"cpu": "2 cores"}, {"userline": "1.0"}, 3, 2.0, [READ, MEMORY], ["mercurius is left out."])


def test_a_ratio_is_the_median_of_rounds_and_not_of_medians() -> None:
    ours, off, slow = READ.figures()
    assert (ours.value, ours.ratio, ours.lane_off_ratio, ours.cpu_ratio) == (300.0, 1.0, 0.5, 1.0)
    assert (off.ratio, off.lane_off_ratio, off.cpu_ratio) == (2.0, 1.0, 0.5)
    assert (slow.value, slow.ratio, slow.lane_off_ratio, slow.cpu_ratio) == (100.0, 3.0, 1.5, 0.25)
    assert (slow.p50, slow.p99, slow.cpu) == (3.0, 4.0, 40.0)


def test_where_less_is_better_a_ratio_above_one_is_still_an_advantage() -> None:
    ours, slow = MEMORY.figures()
    assert (ours.ratio, slow.ratio) == (1.0, 2.5)
    assert (slow.lane_off_ratio, slow.cpu_ratio, slow.p50, slow.cpu) == (None, None, None, None)


def test_without_the_gateway_there_are_no_ratios() -> None:
    alone = Outcome("read", "", "requests", less_is_better=False, turns={"slow": [Turn(1.0, cpu=2.0)]})
    (figure,) = alone.figures()
    assert (figure.ratio, figure.cpu_ratio) == (None, None)


def test_the_file_of_a_run_gives_the_run_back(tmp_path: Path) -> None:
    results().write(tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results()


def test_the_table_says_what_is_left_out_and_where_the_load_was_the_limit() -> None:
    lines = render(results()).splitlines()
    assert len({len(line) for line in lines if line.startswith("|")}) == 1
    assert [part.strip() for part in lines[4].split("|")[1:-1]] == [
        *("read", "slow & steady", "100 /s", "3.00x", "1.50x", "3.0 / 4.0 ms", "40.0 µs", "0.25x", "-")
    ]
    assert lines[2].split("|")[-2].strip() == "disk"
    assert lines[-1] == "mercurius is left out."
    assert lines[-3] == (
        "Requests that were not answered rightly, and are not in the figure: read (slow & steady): 25.0%."
    )
    assert lines[-5] == "The load was busy all the time, so that the server may be faster: read (slow & steady)."


def test_the_page_gets_the_table_and_the_plot(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    write_docs(results(), page)
    once = page.read_text(encoding="utf-8")
    write_docs(results(), page)
    assert page.read_text(encoding="utf-8") == once
    assert once.count(render(results())) == 1
    assert once.partition("<!-- results:")[0] == PAGE.read_text(encoding="utf-8").partition("<!-- results:")[0]
    plot = ET.parse(tmp_path / "page.svg").getroot()  # noqa: S314 - our own
    texts = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("slow & steady") == 2
    widths = [int(bar.attrib["width"]) for bar in plot.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths == [520, 260, 173, 208, 520]


def test_a_page_without_a_place_for_results_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="no place for results"):
        write_docs(results(), page)
    assert page.read_text() == "nothing"
    assert not page.with_suffix(".svg").exists()


def test_a_file_of_before_can_still_be_read(tmp_path: Path) -> None:
    results().write(tmp_path / "results.json")
    found = orjson.loads((tmp_path / "results.json").read_bytes())
    for outcome in found["outcomes"]:
        del outcome["kept"]
        for turns in outcome["turns"].values():
            for turn in turns:
                del turn["failed"]
    (tmp_path / "before.json").write_bytes(orjson.dumps(found))
    assert {figure.kept for figure in read_results(tmp_path / "before.json").outcomes[0].figures()} == {""}
