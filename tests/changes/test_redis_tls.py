"""Redis by TLS, with a CA of one's own: what goes wrong is said, at the start and by the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.changes.listening import Listener
from tests.changes.test_hub import snapshot
from tests.support.certificates import Authority
from tests.support.redis_kinds import RULES, TlsRedis
from tests.support.waiting import until
from userline.changes import bus
from userline.changes.examination import BusUnavailable, examine_bus
from userline.changes.factory import check_bus_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.changes.conftest import Directories, Listen


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not joined at once does not hold up the test."""
    monkeypatch.setattr(bus, "START_PATIENCE_SECONDS", 0.5)


def without_tls(url: str) -> str:
    """The same without TLS, and without what goes with it."""
    return url.replace("rediss", "redis").partition("?")[0]


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a CA that has signed nothing of the server's, in ca.crt, and files that are no certificates."""
    directory = tmp_path_factory.mktemp("others")
    Authority(directory)
    (directory / "garbage.crt").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    return directory


async def test_the_user_of_the_docs_by_tls(directories: Directories, listen: Listen) -> None:
    server = TlsRedis(directories("tls"), f"shop on >secret {RULES}")
    try:
        listener = listen(server.url, app_id="shop")
        await listener.start()
        for version in range(1, 4):
            listener.bus.publish(snapshot(version))
            await listener.until_version(version)
            server.kill_listeners()
            await until(lambda of=version: listener.events == ["joined"] + ["lost", "joined"] * of)  # type: ignore[misc]
    finally:
        server.remove()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("ssl_ca_certs={own}|ssl_ca_certs={others}/ca.crt", "The certificate of Redis is not trusted"),
        ("?ssl_ca_certs={own}|", "The certificate of Redis is not trusted"),
        ("localhost|127.0.0.1", "The certificate of Redis is not trusted"),
        ("rediss|redis", "With TLS the URL begins with rediss://"),
        (":{tls_port}|:{port}", "without TLS with redis://"),
        ("secret|wrong", "Redis does not accept this user name and password"),
    ],
)
async def test_what_is_wrong_is_said(
    tls: TlsRedis, others: Path, caplog: pytest.LogCaptureFixture, change: str, says: str
) -> None:
    own = tls.authority.certificate
    old, new = change.format(own=own, others=others, tls_port=tls.tls_port, port=tls.port).split("|")
    url = without_tls(tls.url) if new == "redis" else tls.url.replace(old, new)
    listener = Listener(url)
    await listener.start()
    await until(lambda: "cannot connect to the bus" in caplog.text)
    await listener.bus.stop()
    assert says in caplog.text
    with pytest.raises(BusUnavailable) as unavailable:
        await examine_bus(url, prefix="userline", app_id="shop")
    assert says in str(unavailable.value)
    if "trusted" in says:
        assert "ssl_ca_certs=FILE" in str(unavailable.value)
    assert "secret" not in caplog.text + str(unavailable.value)


async def test_certificates_of_clients(
    directories: Directories, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    server = TlsRedis(directories("tls"), f"shop on >secret {RULES}", "--tls-auth-clients", "yes")
    certificate, key = server.authority.sign("client")
    try:
        without = listen(server.url, app_id="shop")
        await without.start()
        await until(lambda: "Redis requires client certificates" in caplog.text)
        shown = listen(f"{server.url}&ssl_certfile={certificate}&ssl_keyfile={key}", app_id="shop")
        await shown.start()
        await shown.until_joined()
        assert not without.bus.connected
    finally:
        server.remove()


@pytest.mark.parametrize(
    "url",
    [
        "rediss://u:hush@h?ssl_ca_certs={ca}",
        "rediss://h:6380/0?ssl_ca_certs={ca}&ssl_check_hostname=no",
        "rediss+sentinel://u:hush@a,b:26380,[::1]:26379/my%20master?sentinel_username=u&sentinel_password=hush&db=3",
        "redis+sentinel://a/main/3?protocol=2",
        "rediss+cluster://u:hush@a:1,b:2?ssl_ca_certs={ca}",
        "valkey://h",
        "valkeys+cluster://h",
    ],
)
def test_urls(others: Path, url: str) -> None:
    check_bus_url(url.format(ca=others / "ca.crt"))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("rediss://:hush@h?ssl_ca_certs={others}/gone.crt", "names a file in ssl_ca_certs that is not there"),
        ("rediss://:hush@h?ssl_ca_certs={others}", "names a file in ssl_ca_certs that is not there, or cannot be read"),
        ("rediss://:hush@h?ssl_ca_certs={others}/garbage.crt", "has options for TLS that cannot be used"),
        ("rediss://:hush@h?ssl_certfile={others}/ca.crt", "has options for TLS that cannot be used"),
        ("rediss://:hush@h?ssl_keyfile={others}/ca.key", "has options for TLS that cannot be used"),
        ("rediss://:hush@h?ssl_certfile={others}/ca.crt&ssl_keyfile={others}/gone", "names a file in ssl_keyfile"),
        ("redis://:hush@h?ssl_ca_certs={others}/ca.crt", "ssl_ are for rediss://"),
        ("redis://:hush@a,b", "has several hosts, but redis:// is for one host"),
        ("redis+sentinel://:hush@a:26379,b:26379", "must end with the name by which the Sentinels know"),
        ("redis+sentinel://:hush@a/", "must end with the name"),
        ("redis+sentinel://:hush@a/main/x", "must end with the name"),
        ("redis+sentinel://:hush@/main", "has no host"),
        ("redis+sentinel://:hush@a,/main", "has no host"),
        ("redis+sentinel://:hush@a:0/main", "a host or a port in it is wrong"),
        ("redis+sentinel://:hush@a:66000/main", "a host or a port in it is wrong"),
        ("redis+sentinel://:hush@a:x/main", "a host or a port in it is wrong"),
        ("redis+sentinel://:hush@a;b/main", "a host or a port in it is wrong"),
        ("redis://:hush@a?sentinel_password=hush", "has an option that is not known"),
        ("redis+cluster://:hush@a:1,b:2/3", "has a numbered database, but a cluster has no numbered databases"),
        ("redis+cluster://", "has no host"),
        ("redis+cluster://:hush@a,b?socket_timeout=1", "These are known: username, password"),
        ("redis+nothing://:hush@a", "The bus is memory://"),
    ],
)
def test_urls_that_lead_nowhere(others: Path, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        check_bus_url(url.format(others=others))
    assert "hush" not in str(refused.value)
    assert str(refused.value).endswith(".")
