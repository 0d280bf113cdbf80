"""The runner, with drivers that are none, or that can do little."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from clients.conformance.__main__ import main
from clients.conformance.driver import DriverGone
from clients.conformance.known import what_to_do_first
from clients.conformance.run import run
from clients.conformance.table import cases

if TYPE_CHECKING:
    from pathlib import Path

HELLO = """
import json, sys
print(json.dumps({"hello": {"client": "none", "abilities": []}}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    for each in [command, *command.get("commands", [])]:
        print(json.dumps({"id": each["id"], "ok": {"object": 0}}), flush=True)
"""


def _driver(directory: Path, text: str) -> list[str]:
    path = directory / "driver.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_a_client_that_is_not_built_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node = tmp_path / "node"
    node.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Build it first: `cd clients/typescript && npm ci" in str(what_to_do_first("typescript", tmp_path))
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.js").touch()
    assert what_to_do_first("typescript", tmp_path) is None
    node.unlink()
    assert main(["--driver", "typescript"]) == 2
    assert capsys.readouterr().err.startswith("The TypeScript client runs in Node, and there is no `node` on PATH. ")
    assert what_to_do_first("python", tmp_path) is what_to_do_first("node mine.mjs", tmp_path) is None


async def test_who_says_yes_to_everything_passes_nothing(tmp_path: Path) -> None:
    wanted = [each for each in cases() if each.file == "references"]
    report = await run(_driver(tmp_path, HELLO), wanted)
    assert report.client == "none"
    assert report.passed == []
    assert len(report.failed) == len(wanted)


async def test_what_a_driver_cannot_do_is_left_out_and_told(tmp_path: Path) -> None:
    wanted = [each for each in cases() if each.needs]
    report = await run(_driver(tmp_path, HELLO), wanted)
    assert (report.passed, report.failed) == ([], [])
    assert {name for _, missing in report.left_out for name in missing.split(", ")} >= {"clock", "real", "share"}
    assert {37, 38} <= report.lines_left_out


async def test_a_driver_that_ends_is_a_failure_of_each_case_that_says_why(tmp_path: Path) -> None:
    text = HELLO.replace("for line in sys.stdin:", "sys.exit('it is broken')\nfor line in sys.stdin:")
    wanted = [each for each in cases() if each.file == "references"][:2]
    report = await run(_driver(tmp_path, text), wanted)
    assert len(report.failed) == 2
    assert "it is broken" in str(report.failed[0])


@pytest.mark.parametrize("text", ["raise SystemExit('it is broken')", "print('no JSON')", "print('{}')"])
async def test_what_is_no_driver_ends_the_run(tmp_path: Path, text: str) -> None:
    with pytest.raises(DriverGone, match=r"driver"):
        await run(_driver(tmp_path, text), cases()[:1])


def test_the_command_line(capsys: pytest.CaptureFixture[str], python: list[str]) -> None:
    command = " ".join(python)
    assert main(["--driver", command, "--no-gateway", "--line", "1"]) == 0
    assert "passed   one reference for one id" in capsys.readouterr().out
    assert main(["--driver", "python", "--list", "--line", "37"]) == 0
    assert "a dead peer is found within 15 s" in capsys.readouterr().out
