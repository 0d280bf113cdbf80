"""A real Prometheus: a process of the test's own that scrapes gateways several times a second."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.needed import program
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 30.0


def find_tool(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skips the test without it, or fails where all must run."""
    return program(name, "Debian's package prometheus has it")


def hastened(rules: str, window: str = "4s") -> str:
    """Return the rules with short windows, and without the time that something must last to be an alert."""
    return re.sub(r"\n +for: \w+", "", re.sub(r"\[\d+m\]", f"[{window}]", rules))


class PrometheusServer:
    """Prometheus with one job, ``userline``, and some rules."""

    def __init__(self, directory: Path, targets: list[str], rules: str) -> None:
        command = find_tool("prometheus")
        (directory / "rules.yaml").write_text(rules)
        config = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": "userline", "static_configs": [{"targets": targets}]}],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        port = free_port()
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        flags = [f"--web.listen-address=127.0.0.1:{port}", "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        self._log = directory / "prometheus.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([command, *flags], cwd=directory, stdout=log, stderr=log)
        self._wait_until_ready()

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def wait_for(self, alert: str, seconds: float = _PATIENCE) -> None:
        """Return when the alert fires."""
        deadline = time.monotonic() + seconds
        while alert not in self.firing():
            assert time.monotonic() < deadline, f"{alert} does not fire, only {self.firing()}"
            time.sleep(0.1)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression is now. Fails the test if Prometheus does not understand it."""
        result: list[dict[str, Any]] = self._get("/api/v1/query", query=expression)["result"]
        return result

    def stop(self) -> None:
        self._http.close()
        self._process.terminate()
        self._process.wait(_PATIENCE)

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = self._http.get(path, params=parameters)
        assert answer.status_code == httpx.codes.OK, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self._http.get("/-/ready").status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        self._process.kill()
        raise AssertionError(f"Prometheus did not start:\n{self._log.read_text()}")
