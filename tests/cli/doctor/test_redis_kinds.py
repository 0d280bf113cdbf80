"""``userline doctor`` with Redis behind Sentinels, as a cluster and by TLS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from tests.support.ports import free_port
from tests.support.redis_kinds import CLUSTER_RULES, RULES, USER, Cluster, Sentinels, TlsRedis

from userline.cli.main import userline

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory without a store, to be examined."""
    monkeypatch.chdir(tmp_path)


def said_of_the_bus(url: str) -> tuple[str, str]:
    """Return how the doctor finds the bus, the worst first, and what it says of it."""
    flags = ["--json", "--port", str(free_port()), "--app-id", "shop", "--bus-url", url]
    done = CliRunner().invoke(userline, ["doctor", *flags])
    found = [item for item in json.loads(done.stdout)["findings"] if item["part"] == "bus"]
    levels = [item["level"] for item in found]
    text = "\n".join(f"{item['text']} {item['advice']}" for item in found)
    return min(levels, key=["problem", "advice", "ok"].index), text


def test_sentinels_with_redis_by_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    tls = TlsRedis(tmp_path_factory.mktemp("tls"), f"shop on >secret {RULES}")
    sentinels = Sentinels(tmp_path_factory.mktemp, tls=tls)
    try:
        level, text = said_of_the_bus(sentinels.url)
        assert (level, text.split()[0]) == ("ok", "Redis")
        level, text = said_of_the_bus(sentinels.url.partition("&ssl_ca_certs")[0])
        assert level == "problem"
        assert "The certificate of Redis is not trusted" in text
        assert "ssl_ca_certs=FILE" in text
    finally:
        sentinels.remove()


def test_a_cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    cluster = Cluster(tmp_path_factory.mktemp, user=f"{USER}@")
    try:
        for node in cluster.nodes:
            node.command("ACL", "SETUSER", "shop", "on", ">secret", *RULES.split())
        level, text = said_of_the_bus(cluster.url)
        assert level == "advice"
        assert "does not tell this user its state" in text
        assert "+cluster|info" in text
        for node in cluster.nodes:
            node.command("ACL", "SETUSER", "shop", *CLUSTER_RULES.split())
        cluster.nodes[0].freeze()
        assert said_of_the_bus(cluster.url)[0] == "ok"
        cluster.thaw()
    finally:
        cluster.remove()
