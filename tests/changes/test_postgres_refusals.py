"""A PostgreSQL that does not do what a bus needs: never joined, said why once an outage, and joined when it does."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.changes.contract.conftest import hear
from tests.changes.test_hub import snapshot
from tests.support.ports import free_port
from tests.support.tcp import answering
from tests.support.waiting import until
from userline.changes import bus, rejoining
from userline.changes.postgres.answers import explain
from userline.changes.postgres.backend import PostgresBackend
from userline.changes.postgres.url import check_postgres_url

if TYPE_CHECKING:
    from tests.changes.conftest import Listen, ServePostgres
    from tests.changes.listening import Listener
    from tests.support.postgres import PostgresServer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not joined soon is never joined here."""
    monkeypatch.setattr(bus, "START_PATIENCE_SECONDS", 0.5)


def complaint(listener: Listener, caplog: pytest.LogCaptureFixture) -> str:
    """Return why it could not be joined, as the log has it, and has it once."""
    assert not listener.bus.connected
    (said,) = [line for line in caplog.messages if "cannot connect to the bus" in line]
    assert "hush" not in said
    assert len(said) < 600
    return said


def role(server: PostgresServer, name: str) -> str:
    """Return the URL of the server for another role."""
    return server.url.replace("userline:hush@", f"{name}:hush2@")


async def test_a_wrong_password(postgres: PostgresServer, listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    listener = listen(postgres.url.replace("hush", "hushhush"))
    await listener.start()
    await asyncio.sleep(1)
    assert "does not accept this user name and password" in complaint(listener, caplog)
    postgres.command("ALTER ROLE userline PASSWORD 'hushhush'")
    await listener.until_joined()


async def test_a_role_that_may_not(postgres: PostgresServer, listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    postgres.command(
        "CREATE ROLE shop NOLOGIN PASSWORD 'hush2'",
        "CREATE DATABASE bus",
        "REVOKE CONNECT ON DATABASE bus FROM PUBLIC",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    )
    postgres.command("REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC", database="bus")
    listener = listen(role(postgres, "shop").replace("/postgres", "/bus"))
    await listener.start()
    await until(lambda: any("may not" in line or "not permitted" in line for line in caplog.messages))
    assert "ALTER ROLE … LOGIN" in complaint(listener, caplog)
    postgres.command("ALTER ROLE shop LOGIN")
    await until(lambda: any("permission denied for database" in line for line in caplog.messages))
    postgres.command("GRANT CONNECT ON DATABASE bus TO shop")
    await asyncio.sleep(1)
    assert not listener.bus.connected
    assert "This role of PostgreSQL does not have the rights that a gateway needs" in caplog.text
    postgres.command("GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO shop", database="bus")
    await listener.until_joined()
    listener.bus.publish(snapshot(1))
    await listener.until_version(1)
    postgres.command("REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM shop", database="bus")
    await listener.until_joined(joined=False)


async def test_a_database_that_is_not_there(
    postgres: PostgresServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen(postgres.url.replace("/postgres", "/bus"))
    await listener.start()
    assert "PostgreSQL has no such database" in complaint(listener, caplog)
    postgres.command("CREATE DATABASE bus")
    await listener.until_joined()


async def test_two_databases_are_two_buses(postgres: PostgresServer, listen: Listen) -> None:
    postgres.command("CREATE DATABASE other")
    one, other = listen(postgres.url), listen(postgres.url.replace("/postgres", "/other"))
    await asyncio.gather(one.start(), other.start())
    one.bus.publish(snapshot(1))
    await one.until_version(1)
    other.bus.publish(snapshot(2))
    await other.until_version(2)
    assert other.versions() == [2]


async def test_nobody_is_there(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    listener = listen(f"postgres://userline:hush@127.0.0.1:{free_port()}/postgres")
    await listener.start()
    assert "Connect" in complaint(listener, caplog)


async def test_a_server_that_has_all_its_connections(
    serve_postgres: ServePostgres, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve_postgres("max_connections=5", "superuser_reserved_connections=3", "max_wal_senders=0")
    server.command("CREATE ROLE shop LOGIN PASSWORD 'hush2'")
    holders = [await asyncpg.connect(role(server, "shop")) for _ in range(2)]
    listener = listen(role(server, "shop"))
    await listener.start()
    assert "has reached its limit of connections" in complaint(listener, caplog)
    await holders.pop().close()
    await listener.until_joined()
    await holders.pop().close()


async def test_a_standby_is_not_joined_until_it_is_promoted(
    postgres: PostgresServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.demote()
    listener = listen(postgres.url)
    listener.bus.publish(snapshot(7))
    await listener.start()
    await asyncio.sleep(1)
    assert "This PostgreSQL is a standby" in complaint(listener, caplog)
    assert (listener.events, listener.bus.published, listener.bus.waiting) == (["lost"], 0, 1)
    postgres.promote()
    await listener.until_version(7)
    assert listener.events == ["lost", "joined"]


async def test_of_several_hosts_the_primary_is_taken(serve_postgres: ServePostgres, listen: Listen) -> None:
    standby, primary = serve_postgres(), serve_postgres()
    standby.demote()
    url = f"postgres://userline:hush@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
    both, one = listen(url + "?target_session_attrs=primary"), listen(primary.url)
    await asyncio.gather(both.start(), one.start())
    await both.until_joined()
    one.bus.publish(snapshot(3))
    await both.until_version(3)


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "SQL_ASCII", "EUC_JP"])
async def test_databases_of_any_encoding(serve_postgres: ServePostgres, listen: Listen, encoding: str) -> None:
    server = serve_postgres(encoding=encoding)
    listener = listen(server.url)
    await listener.start()
    for number, name in enumerate(["☃ é \N{GRINNING FACE}", "\0\x01\x7f", "é" * 30_000]):
        listener.bus.publish(snapshot(1, name=name, user_id=f"{name[:5]} {number}"))
        await listener.until_heard(number + 1)
        assert listener.heard[-1].name == name


async def test_an_address_that_is_a_socket_in_the_file_system(postgres: PostgresServer, listen: Listen) -> None:
    listener = listen(f"postgresql://userline:hush@/postgres?host={postgres.folder}&port={postgres.port}")
    await listener.start()
    await listener.until_joined()
    assert listener.events == ["joined"]


async def test_tls(postgres: PostgresServer, listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    required = listen(postgres.url + "?sslmode=require")
    await required.start()
    assert "PostgreSQL offers no TLS" in complaint(required, caplog)
    certificate = postgres.certify()
    await required.until_joined()
    verified = listen(f"{postgres.url}?sslmode=verify-full&sslrootcert={certificate}")
    await verified.start()
    verified.bus.publish(snapshot(1))
    await required.until_version(1)
    encrypted = (
        "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'userline'"
    )
    assert postgres.command(encrypted) == "2"
    caplog.clear()
    unknown = listen(f"{postgres.url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full&sslrootcert={certificate}")
    await unknown.start()
    assert "TLS with PostgreSQL failed" in complaint(unknown, caplog)


GARBAGE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"-ERR unknown command\r\n",
    b"N",
    b"S",
    b"\0" * 100,
    b"R\0\0\0\x08\0\0\0\x63",
    b"E",
    b"\xff" * 9,
]


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("mode", ["disable", "prefer", "require"])
async def test_something_else_that_listens_there(
    listen: Listen, caplog: pytest.LogCaptureFixture, mode: str, *, ends: bool
) -> None:
    for garbage in GARBAGE:
        caplog.clear()
        async with answering(garbage, ends=ends) as port:
            listener = listen(f"postgres://userline:hush@127.0.0.1:{port}/d?sslmode={mode}")
            await listener.start()
            await until(lambda: any("cannot connect to the bus" in line for line in caplog.messages))
            said = complaint(listener, caplog)
            assert garbage in {b"N", b"S", b"E"} or "does not speak the protocol of PostgreSQL" in said
            await listener.bus.stop()


async def test_hundreds_of_attempts_use_nothing_up(
    postgres: PostgresServer, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejoining, "LONGEST_PAUSE_SECONDS", 0.001)
    postgres.command("ALTER ROLE userline CONNECTION LIMIT 1", "CREATE ROLE shop NOLOGIN PASSWORD 'hush2'")
    listener = listen(role(postgres, "shop"))
    await listener.start()
    await asyncio.sleep(3)
    assert len(asyncio.all_tasks()) < 10
    postgres.command("ALTER ROLE shop LOGIN")
    await listener.until_joined()
    assert postgres.command("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'userline'") == "1"


async def test_a_gateway_needs_one_connection_and_leaves_none(postgres: PostgresServer, listen: Listen) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'userline'"
    listeners = [listen(postgres.url) for _ in range(5)]
    await asyncio.gather(*(listener.start() for listener in listeners))
    assert postgres.command(count) == "5"
    for _ in range(5):
        postgres.kill_listeners()
        await asyncio.sleep(0.2)
        await asyncio.gather(*(listener.until_joined() for listener in listeners))
    await until(lambda: postgres.command(count) == "5")
    await asyncio.gather(*(listener.bus.stop() for listener in listeners))
    await until(lambda: postgres.command(count) == "0")


async def test_a_deaf_session_is_noticed(postgres: PostgresServer, listen: Listen) -> None:
    """As behind a pool whose connections change hands: what is asked is answered, and nothing is heard."""
    listener = listen(postgres.url)
    await listener.start()
    joined = listener.bus._broadcast._backend._joined  # type: ignore[attr-defined]
    await joined.link._connection.execute("UNLISTEN *")
    started = time.monotonic()
    await listener.until_joined(joined=False)
    assert time.monotonic() - started < 5
    await listener.until_joined()
    assert listener.events == ["joined", "lost", "joined"]


async def test_a_message_of_a_stranger_between_the_parts_of_ours_does_not_come_to_pass(
    postgres: PostgresServer,
) -> None:
    """Other transactions come before or after, which is what the parts are put together by."""
    backend = PostgresBackend(postgres.url)
    listener, publisher = await backend.join(["a:b:c"]), await backend.join(["a:b:none"])
    stranger = await asyncpg.connect(postgres.url)
    going_on = True

    async def disturb() -> None:
        while going_on:
            await stranger.execute("SELECT pg_notify('a:b:c', 'x')")

    disturbing = asyncio.create_task(disturb())
    for number in range(30):
        message = b"%d" % number * 40_000
        await publisher.publish("a:b:c", message)
        while (heard := (await hear(listener, 1))[0][1]) == b"x":
            pass
        assert heard == message
    going_on = False
    await disturbing
    await asyncio.gather(listener.close(), publisher.close(), stranger.close())


async def test_a_full_queue_is_told(postgres: PostgresServer) -> None:
    """The queue of 8 GB is not filled here: what PostgreSQL says then is."""
    said = explain(asyncpg.ProgramLimitExceededError("too many notifications in the NOTIFY queue"))
    assert "queue of notifications is full" in said.text
    assert float(postgres.command("SELECT pg_notification_queue_usage()")) < 0.1


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_explanations_are_short_and_have_a_kind_whatever_was_said(said: str) -> None:
    kinds = [
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
        OSError,
        ValueError,
        asyncpg.DataError,
    ]
    for error in kinds:
        explanation = explain(error(said * 100))
        assert explanation.kind is not None
        assert 0 < len(explanation.text) < 400
        assert "\n" not in explanation.text


@pytest.mark.parametrize(
    "url",
    [
        "postgres://127.0.0.1/userline",
        "postgresql://u:p%40%3A%2Fss@db.example.com:5433/bus?sslmode=verify-full",
        "postgres://u@[::1]:5432/bus",
        "postgres://u:p@one:5432,two:5433,[fe80::1]/bus?target_session_attrs=primary",
        "postgres:///bus?host=/run/postgresql",
        "postgres://u:p@/bus?host=/run/postgresql&port=5433",
        "postgres://h?dbname=bus&user=u&password=p",
        "postgres://h/bus?ssl_min_protocol_version=TLSv1.3&sslmode=require",
    ],
)
def test_urls(url: str) -> None:
    check_postgres_url(url)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("postgres://", "has no host"),
        ("postgres:///bus", "has no host"),
        ("postgres://h", "names no database"),
        ("postgres://h/", "names no database"),
        ("postgres://u:hunter2@h:port/bus", "a host or a port in it is wrong"),
        ("postgres://u:hunter2@h:99999/bus", "a host or a port in it is wrong"),
        ("postgres://u:hunter2@h:0/bus", "a host or a port in it is wrong"),
        ("postgres://u:hunter2@h,/bus", "a host or a port in it is wrong"),
        ("postgres://u:hunter2@[::1/bus", "is not a valid URL"),
        ("postgres://u:hun@ter2@h/bus", "write %40"),
        ("postgres://u:hunter2#@h/bus", "write %40"),
        ("postgres://u:hunter2@h/bus?sokcet", "is not a valid URL"),
        ("postgres://u:hunter2@h/bus?search_path=x", "an option that is not known"),
        ("postgres://u:hunter2@h/bus?sslmode=yes", "a value that is not allowed: sslmode"),
        ("postgres://u:hunter2@h/bus?sslrootcert=/hunter2", "a value that is not allowed: sslrootcert"),
        ("postgres://u:hunter2@h/bus?sslcert=/hunter2", "a value that is not allowed: sslcert"),
        (
            "postgres://u:hunter2@h/bus?target_session_attrs=standby",
            "a value that is not allowed: target_session_attrs",
        ),
        ("postgres://u:hunter2@h/bus?host=", "a value that is not allowed: host"),
        ("postgres://u:hunter2@h/bus?port=1,x", "a value that is not allowed: port"),
    ],
)
def test_urls_of_none(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        check_postgres_url(url)
    assert "hunter2" not in str(refused.value)
