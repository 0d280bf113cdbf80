"""An ``.env`` file means what it says, or is refused: no setting in it is passed over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from userline.settings.env_file import unreadable_lines
from userline.settings.problems import SettingsError
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
_VALUE = "what-nobody-may-see-of-it-in-32-bytes"

_names = st.sampled_from([f"USERLINE_{name.upper()}" for name in Settings.model_fields]) | st.just("userline_secret")
_sound = st.sampled_from(
    [
        "{name}={value}",
        "{name}='{value}'",
        '{name}="{value}"',
        "export {name}={value}",
        "  {name} = {value}  # a comment",
        "'{name}'={value}",
        '{name}="{value}\nmore"',
        "A={value}\n{name}=x${{A}}",
        "{name}=${{A:-{value}}}",
        "{name}=$A{value}$",
    ]
)
_broken = st.sampled_from(
    [
        "{name}: {value}",
        "{name} {value}",
        "{name}",
        "set {name}={value}",
        "- {name}={value}",
        "* {name}={value}",
        '{name}="{value}',
        "{name}='{value}",
        '{name}="{value}"more',
        '{name}="{value}" more',
        '"{name}"={value}',
        "$env:{name}={value}",
        "$env:{name} = '{value}'",
        "{name}:={value}",
        "-D{name}={value}",
        "{name}={value}${{nobody}}",
        "{name}='${{what-nobody-may}}{value}'",
        '{name}="{value}${{}}"',
    ]
)
_others = st.sampled_from(
    [
        "",
        "# USERLINE_SECRET: x",
        "OTHER=x",
        "OTHER",
        "if true; then",
        "fi",
        "OTHER='x\ny'",
        "VITE_USERLINE_URL=${nobody}",
        "NEXT_PUBLIC_USERLINE_URL",
        "MY_USERLINE_SECRET: x",
    ]
)


def _file_of(directory: Path, lines: list[str], end: str) -> Path:
    file = directory / "some.env"
    file.write_bytes(end.join("\n".join(lines).split("\n")).encode())
    return file


@_FILE
@given(
    st.lists(_others, max_size=4),
    st.builds(lambda form, name: form.format(name=name, value=_VALUE), _broken, _names),
    st.lists(_others, max_size=4),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_setting_that_cannot_be_read_is_refused(
    tmp_path: Path, before: list[str], line: str, after: list[str], end: str
) -> None:
    file = _file_of(tmp_path, [*before, line, *after], end)
    number = sum(each.count("\n") + 1 for each in before) + 1
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=file)
    (problem,) = (problem for problem in caught.value.problems if problem.startswith(f"{file}, line "))
    assert problem.startswith(f"{file}, line {number}: ")
    assert _VALUE not in problem


@_FILE
@given(st.lists(_others | st.builds(str.format, _sound, name=_names, value=st.just(_VALUE)), max_size=8))
def test_what_can_be_read_is_no_problem(tmp_path: Path, lines: list[str]) -> None:
    assert unreadable_lines(_file_of(tmp_path, lines, "\n")) == []


def test_lines_of_other_programs_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = _file_of(tmp_path, ["if true; then", "USERLINE_PORT=1", "fi"], "\n")
    with caplog.at_level(logging.NOTSET):
        assert load_settings(env_file=file).port == 1
    assert caplog.records == []


def test_other_problems_are_told_at_the_same_time(tmp_path: Path) -> None:
    file = _file_of(tmp_path, ["USERLINE_SECRET: x", "USERLINE_PORT=x"], "\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(env_file=file)
    assert [problem.partition(":")[0].partition(" is")[0] for problem in caught.value.problems] == [
        f"{file}, line 1",
        "USERLINE_PORT",
    ]
