"""The dashboard and the alerts name only metrics that exist, and the dashboard shows every one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.prometheus import PrometheusServer

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
RULES = (OPERATIONS / "alerts.yaml").read_text()
PANELS: list[dict[str, Any]] = json.loads((OPERATIONS / "dashboard.json").read_text())["panels"]
QUERIES: list[str] = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]

_NAME = re.compile(r"\b(?:userline|process|python)_\w+")


def series_of(gateway: RunningGateway) -> dict[str, str]:
    """Return the names of all series, each with its metric."""
    names = {}
    for family in text_string_to_metric_families(gateway.http.get("/metrics").text):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        names.update({family.name + suffix: family.name for suffix in suffixes})
    return names


def test_the_dashboard_names_only_metrics_that_exist(gateway: RunningGateway) -> None:
    named = {name for query in QUERIES for name in _NAME.findall(query)}
    assert len(named) > 30
    assert named <= series_of(gateway).keys()


def test_the_dashboard_shows_every_metric_of_ours(gateway: RunningGateway) -> None:
    series = series_of(gateway)
    shown = {series[name] for query in QUERIES for name in _NAME.findall(query)}
    assert {name for name in series.values() if name.startswith("userline_")} <= shown


def test_the_alerts_name_only_metrics_that_exist(gateway: RunningGateway) -> None:
    named = {name for line in re.findall(r"expr: (.*)", RULES) for name in _NAME.findall(line)}
    assert len(named) > 10
    assert named <= series_of(gateway).keys()


def test_the_page_about_metrics_has_every_metric_of_ours(gateway: RunningGateway) -> None:
    page = (OPERATIONS / "metrics.md").read_text()
    named = set(re.findall(r"\| `(userline_\w+)", page))
    ours = {
        name for name in series_of(gateway) if name.startswith("userline_") and not name.endswith(("_count", "_sum"))
    }
    assert named == {name.removesuffix("_bucket") for name in ours}
    assert set(re.findall(r"alert: (\w+)", RULES)) == set(re.findall(r"\| `(Userline\w+)`", page))


def test_prometheus_understands_every_query(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.set_user("prometheus", name="P")
    server = PrometheusServer(tmp_path, [gateway.url.removeprefix("http://")], RULES)
    try:
        for query in QUERIES:
            server.query(query.replace("$__rate_interval", "1m").replace("$instance", ".*"))
        with pytest.raises(AssertionError, match="parse error"):
            server.query("sum(")
    finally:
        server.stop()
