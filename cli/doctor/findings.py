"""Findings, and how they are printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    ADVICE = "advice"
    """It works, and could be better."""
    PROBLEM = "problem"
    """It does not work, or will not under load."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ``advice`` says what to do; it is empty if there is no problem."""

    part: str
    level: Level
    text: str
    advice: str = ""


def ok(part: str, text: str) -> Finding:
    """Return that something is well."""
    return Finding(part, Level.OK, text)


def advice(part: str, text: str, what_to_do: str) -> Finding:
    """Return that something could be better."""
    return Finding(part, Level.ADVICE, text, what_to_do)


def problem(part: str, text: str, what_to_do: str) -> Finding:
    """Return that something is wrong."""
    return Finding(part, Level.PROBLEM, text, what_to_do)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


def to_text(findings: Sequence[Finding]) -> str:
    """Return the findings for people."""
    parts = max(len(finding.part) for finding in findings)
    lines = []
    for finding in findings:
        level = finding.level.upper() if finding.level is Level.PROBLEM else finding.level
        lines.append(f"{level:<7}  {finding.part:<{parts}}  {finding.text}")
        if finding.advice:
            lines.append(f"{'':7}  {'':{parts}}  → {finding.advice}")
    counts = [sum(finding.level is level for finding in findings) for level in (Level.PROBLEM, Level.ADVICE)]
    problems, hints = (f"{count} {word}" for count, word in zip(counts, _words(*counts), strict=True))
    lines += ["", f"{problems}, {hints}."]
    return "\n".join(lines) + "\n"


def to_json(findings: Sequence[Finding]) -> str:
    """Return the findings for programs."""
    value = {"healthy": is_healthy(findings), "findings": [asdict(finding) for finding in findings]}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def _words(problems: int, hints: int) -> tuple[str, str]:
    return "problem" if problems == 1 else "problems", "piece of advice" if hints == 1 else "pieces of advice"
