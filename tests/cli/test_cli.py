"""The command: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from userline import __version__
from userline.cli import serve as cli
from userline.cli.main import userline
from userline.gateway import server
from userline.schema.sdl import print_schema
from userline.settings.settings import Settings
from userline.storage.protocol import StoreFormatError
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_settings")

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Settings]]:
    """What serve was called with; nothing is served and logging stays as it is."""
    calls: list[Settings] = []
    monkeypatch.setattr(server, "serve", lambda settings, *_: calls.append(settings))
    monkeypatch.setattr(cli, "configure_logging", lambda *_: None)
    before = signal.getsignal(signal.SIGHUP)
    yield calls
    signal.signal(signal.SIGHUP, before)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(userline, arguments, prog_name="userline")


def run_process(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "userline", *arguments],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestAsAProcess:
    def test_settings(self) -> None:
        done = run_process("settings", USERLINE_PORT="9000")
        assert (done.returncode, done.stderr) == (0, "")
        assert "USERLINE_PORT" in done.stdout
        assert "9000" in done.stdout

    def test_bad_settings_end_with_2_and_no_traceback(self) -> None:
        done = run_process("settings", USERLINE_PORT="x", USERLINE_GRAPHIQL="jes")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines() == [
            "The settings are not valid:",
            "  - USERLINE_PORT is 'x' (environment). It must be a whole number from 0 to 65535.",
            "  - USERLINE_GRAPHIQL is 'jes' (environment). It must be true or false.",
        ]

    def test_help(self) -> None:
        done = run_process("--help")
        assert done.returncode == 0
        assert done.stdout.startswith("Usage: userline [OPTIONS] COMMAND")

    def test_a_busy_port_is_one_sentence(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            done = run_process("serve", "--port", str(port))
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: Cannot listen on 127.0.0.1, port {port}: Address already in use")
        assert done.stderr.count("\n") == 1

    def test_a_store_that_cannot_be_opened_is_one_sentence(self, tmp_path: Path) -> None:
        (tmp_path / "userline.db").write_bytes(b"This is no database. " * 100)
        done = run_process("serve", "--port", "0")
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert done.stderr.count("\n") == 1


class TestGroup:
    def test_version(self) -> None:
        assert run("--version").output == f"userline, version {__version__}\n"

    def test_help_has_the_commands_and_examples(self) -> None:
        output = run("--help").output
        for text in ("schema", "serve", "settings", "\n    userline serve --port 9000 --log-format json\n"):
            assert text in output

    def test_a_wrong_command_is_a_usage_error(self) -> None:
        assert run("sevre").exit_code == 2


class TestServe:
    @pytest.mark.parametrize("command", ["serve", "settings"])
    def test_help_has_every_setting(self, command: str) -> None:
        output = " ".join(run(command, "--help").output.split())
        for name, field in Settings.model_fields.items():
            assert f"--{name.replace('_', '-')} " in output
            assert f"env: USERLINE_{name.upper()}]" in output
            assert (field.description or "") in output

    def test_flags_become_settings(self, served: list[Settings]) -> None:
        done = run("serve", "--port", "9000", "--no-graphiql", "--log-format", "json", "--cache-seconds", "0.5")
        assert (done.exit_code, done.output) == (0, "")
        (settings,) = served
        assert (settings.port, settings.graphiql, settings.log_format) == (9000, False, "json")
        assert (settings.cache_seconds, settings.access_log) == (0.5, True)

    def test_a_switch_overrides_the_environment_both_ways(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("USERLINE_GRAPHIQL", "false")
        run("serve")
        run("serve", "--graphiql")
        assert [settings.graphiql for settings in served] == [False, True]

    def test_env_file(self, served: list[Settings], tmp_path: Path) -> None:
        (tmp_path / "other.env").write_text("USERLINE_PORT=9001\n")
        run("serve", "--env-file", "other.env")
        assert served[0].port == 9001
        missing = run("serve", "--env-file", "missing.env")
        assert missing.exit_code == 2
        assert "'missing.env' does not exist" in missing.stderr

    def test_logging_is_set_up_as_the_settings_say(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[tuple[str, str]] = []
        monkeypatch.setattr(cli, "configure_logging", lambda *arguments: calls.append(arguments))
        run("serve", "--log-format", "json", "--log-level", "error")
        assert calls == [("json", "error")]
        assert len(served) == 1

    def test_unknown_variables_are_logged(
        self, served: list[Settings], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setenv("USERLINE_PROT", "1")
        run("serve")
        assert len(served) == 1
        assert [(record.levelname, record.name) for record in caplog.records] == [("WARNING", "userline")]
        assert "Did you mean USERLINE_PORT?" in caplog.text

    def test_bad_settings_are_not_served(self, served: list[Settings]) -> None:
        done = run("serve", "--host", "0.0.0.0")  # noqa: S104 - it is refused
        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.startswith("The settings are not valid:\n  - USERLINE_HOST is '0.0.0.0' (flag --host).")
        assert served == []

    @pytest.mark.parametrize(
        ("error", "sentence"),
        [
            (StoreUnavailable("The store is away."), "Error: The store is away.\n"),
            (StoreFormatError("Written by a newer userline."), "Error: Written by a newer userline.\n"),
            (click.ClickException("No."), "Error: No.\n"),
            (OSError(98, "Cannot listen on ::1, port 1."), "Error: Cannot listen on ::1, port 1.\n"),
            (FileNotFoundError(2, "No such file or directory", "x.db"), "Error: No such file or directory: x.db\n"),
            (OSError("Strange."), "Error: Strange.\n"),
            (TimeoutError(), "Error: TimeoutError\n"),
        ],
    )
    def test_what_can_go_wrong_at_start_ends_as_a_sentence(
        self, error: Exception, sentence: str, served: list[Settings], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        monkeypatch.setattr(server, "serve", fail)
        done = run("serve")
        assert (done.exit_code, done.stderr) == (1, sentence)
        assert served == []

    @pytest.mark.usefixtures("served")
    def test_an_interrupt_ends_quietly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(server, "serve", interrupt)
        done = run("serve")
        assert (done.exit_code, done.output) == (130, "")

    @pytest.mark.usefixtures("served")
    def test_a_bug_is_not_hidden(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(server, "serve", fail)
        assert isinstance(run("serve").exception, ZeroDivisionError)


class TestSettings:
    def test_text_has_name_value_source_and_meaning(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USERLINE_MAX_EMAILS", "3")
        lines = run("settings", "--port", "9000").stdout.splitlines()
        assert lines[0] == "Serving"
        index = next(number for number, line in enumerate(lines) if "USERLINE_PORT" in line)
        assert lines[index].split() == ["USERLINE_PORT", "9000", "flag"]
        assert lines[index + 1].strip() == "The port to listen on; 0 = any free port."
        rows = [line.split() for line in lines if line.startswith("  USERLINE_")]
        assert ["USERLINE_MAX_EMAILS", "3", "environment"] in rows
        assert ["USERLINE_GRAPHIQL", "true", "default"] in rows
        assert ["USERLINE_ROLES", "none", "default"] in rows
        assert len(rows) == len(Settings.model_fields)

    def test_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USERLINE_PORT", "9000")
        values: dict[str, Any] = json.loads(run("settings", "--json").stdout)
        assert list(values) == list(Settings.model_fields)
        assert values["port"] == {
            "variable": "USERLINE_PORT",
            "value": 9000,
            "source": "environment",
            "meaning": "The port to listen on; 0 = any free port.",
            "reloads": False,
        }
        assert values["log_level"]["reloads"] is True
        assert values["roles"]["value"] is None
        assert values["graphiql"]["value"] is True

    def test_warnings_go_to_standard_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USERLINE_PROT", "1")
        done = run("settings", "--json")
        assert done.exit_code == 0
        json.loads(done.stdout)
        assert done.stderr.startswith("Warning: USERLINE_PROT (environment) is not a setting")

    def test_markdown_is_the_page_in_the_docs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USERLINE_PORT", "x")
        done = run("settings", "--markdown")
        assert done.exit_code == 0
        page = (DOCS / "settings.md").read_text(encoding="utf-8")
        assert page == done.stdout, "docs/settings.md is not up to date: make settings-docs"
        for name in Settings.model_fields:
            assert f"| `USERLINE_{name.upper()}` | `--{name.replace('_', '-')}` |" in page


def test_schema_prints_the_schema() -> None:
    done = run("schema")
    assert (done.exit_code, done.stdout) == (0, print_schema())
