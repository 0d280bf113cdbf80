"""The chart: rendered by Helm's own engine, checked against Kubernetes's schemas, its settings by the gateway."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from helm_python import chart as helm
from helm_python.errors import HelmError

import userline
from tests.deploy.proxies import DEPLOY
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = DEPLOY / "helm" / "userline"
KUBERNETES = ("1.28", "1.37")
LEAST: dict[str, Any] = {"image": {"repository": "images.example.com/userline"}, "existingSecret": "userline"}
SECRET = {
    "USERLINE_STORE_URL": "mongodb://mongo/userline",
    "USERLINE_BUS_URL": "redis://redis",
    "USERLINE_SECRET": "M2Q5kT0c1rYp9mXv7Zs4bN8wLhGfJdEa6uRi",
}
SET_BY_THE_CHART = ("USERLINE_HOST", "USERLINE_PORT", "USERLINE_METRICS_ADDRESS")
MOST = LEAST | {
    "roles": {"default": {}, "admin": {"badge": 'g"old: {x}'}},
    "ingress": {"enabled": True, "host": "users.example.com", "tlsSecret": "certificate", "className": "nginx"},
    "autoscaling": {"enabled": True},
    "trustedProxies": "10.0.0.0/8,fd00::/8",
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "x", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [],
    "serviceAccount": {"annotations": {"a": "b"}},
    "service": {"annotations": {"a": "b"}, "port": 8080, "type": "LoadBalancer"},
    "settings": {"USERLINE_DRAIN_SECONDS": "45", "USERLINE_CORS_ORIGINS": "https://app.example.com"},
}


@pytest.fixture
def chart() -> Iterator[helm.Chart]:
    with helm.Chart.load(CHART) as chart:
        yield chart


def rendered(chart: helm.Chart, values: dict[str, Any]) -> dict[str, Any]:
    """Return what is made, by kind and name."""
    files = chart.render(values=values, name="prod", namespace="users")
    made = [one for file, text in files.items() if file.endswith(".yaml") for one in yaml.safe_load_all(text) if one]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in made}


def test_it_has_no_lint() -> None:
    report = helm.lint(CHART, LEAST)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", [LEAST, MOST], ids=["least", "most"])
def test_kubernetes_takes_what_is_made(chart: helm.Chart, values: dict[str, Any], version: str) -> None:
    made = rendered(chart, values)
    for one in made.values():
        kubernetes_validate.validate(one, version, strict=True)
    kinds = {name.split("/")[0] for name in made}
    assert kinds >= {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
    assert ({"Ingress", "HorizontalPodAutoscaler"} <= kinds) is (values is MOST)


@pytest.mark.parametrize("values", [LEAST, MOST], ids=["least", "most"])
def test_the_gateway_takes_its_settings(
    chart: helm.Chart, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    made = rendered(chart, values)
    settings = made["ConfigMap/prod-userline"]["data"] | SECRET
    if "USERLINE_ROLES" in settings:
        roles = made["ConfigMap/prod-userline-roles"]["data"]["roles.json"]
        assert json.loads(roles) == values["roles"]
        (tmp_path / "roles.json").write_text(roles)
        settings["USERLINE_ROLES"] = str(tmp_path / "roles.json")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    assert (loaded.env, loaded.store_url) == ("production", SECRET["USERLINE_STORE_URL"])
    pod = made["Deployment/prod-userline"]["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > loaded.drain_seconds + 10
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("drain", [None, "0", "0.5", "7.5", "45", "59.9", "1e2"])
@pytest.mark.parametrize("shutdown", [None, "0", "10", "90"])
def test_pods_have_the_time_that_their_settings_give_them(
    chart: helm.Chart, drain: str | None, shutdown: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"USERLINE_DRAIN_SECONDS": drain, "USERLINE_SHUTDOWN_SECONDS": shutdown}
    made = rendered(chart, LEAST | {"settings": {name: value for name, value in given.items() if value is not None}})
    for name, value in (made["ConfigMap/prod-userline"]["data"] | SECRET).items():
        monkeypatch.setenv(name, value)
    loaded = load_settings()
    pod = made["Deployment/prod-userline"]["spec"]["template"]["spec"]
    least = loaded.drain_seconds + loaded.shutdown_seconds + 5
    assert least <= pod["terminationGracePeriodSeconds"] < least + 2


def test_a_change_of_settings_restarts_the_gateways(chart: helm.Chart) -> None:
    def checksum(settings: dict[str, str]) -> str:
        template = rendered(chart, LEAST | {"settings": settings})["Deployment/prod-userline"]["spec"]["template"]
        annotation: str = template["metadata"]["annotations"]["checksum/settings"]
        return annotation

    assert checksum({}) == checksum({}) != checksum({"USERLINE_LOG_LEVEL": "debug"})


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "image.repository is not set"),
        ({"image": {"repository": "x"}}, "existingSecret is not set"),
        *((LEAST | {"settings": {name: "x"}}, f"{name} is secret") for name in (*SECRET, "USERLINE_SECOND_SECRET")),
        *((LEAST | {"settings": {name: "x"}}, f"{name} is set by the chart") for name in SET_BY_THE_CHART),
        (LEAST | {"settings": {"USERLINE_ROLES": "x"}}, "set roles, and leave it out"),
        (LEAST | {"settings": {"USERLINE_TRUSTED_PROXIES": "x"}}, "set trustedProxies, and leave it out"),
        (LEAST | {"replica": 3}, "'replica' not allowed"),
        (LEAST | {"settings": {"USERLINE_PORT": 9}}, "got number, want string"),
        (LEAST | {"settings": {"LOG_LEVEL": "debug"}}, "LOG_LEVEL"),
        (LEAST | {"ingress": {"enabled": True}}, "ingress.host is not set"),
    ],
)
def test_what_cannot_run_is_refused_with_a_sentence(chart: helm.Chart, values: dict[str, Any], what: str) -> None:
    with pytest.raises(HelmError, match=re.escape(what)):
        rendered(chart, values)


def test_it_installs_this_version() -> None:
    described = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert described["version"] == described["appVersion"] == userline.__version__
