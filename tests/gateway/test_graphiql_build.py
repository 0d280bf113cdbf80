"""What is told of GraphiQL's page: while it is built, and at start-up."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from userline.gateway import server
from userline.gateway.graphiql import build
from userline.settings.settings import load_settings

NODE = build.Node((22, 12, 0), Path(sys.executable), (sys.executable,), "here")


def test_a_step_that_takes_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_REPORT_SECONDS", 0.1)
    told: list[str] = []
    build._run([sys.executable, "-c", "import time; time.sleep(0.7)"], tmp_path, NODE, told.append)
    assert told
    assert all(line.startswith("still running, ") for line in told)


def test_a_step_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(build.BuildError, match=r"exit code 3[^$]*no such package"):
        build._run([sys.executable, "-c", "print('no such package'); exit(3)"], tmp_path, NODE, lambda _: None)


class _Listeners:
    api = ()
    metrics = None


@pytest.mark.parametrize(
    ("is_wanted", "page", "is_named"), [(True, b"<html>", True), (True, None, False), (False, b"<html>", False)]
)
def test_the_log_names_graphiql_only_if_it_is_there(
    is_wanted: bool,
    page: bytes | None,
    is_named: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(server, "index_page", lambda: page)
    monkeypatch.setattr(server, "url_of", lambda _: "http://127.0.0.1:1")
    listeners = _Listeners()
    listeners.api = (object(),)  # type: ignore[assignment]
    with caplog.at_level(logging.INFO):
        server._say_where(load_settings({"graphiql": is_wanted}), listeners)  # type: ignore[arg-type]
    assert ("GraphiQL" in caplog.text) is is_named
