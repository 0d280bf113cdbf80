"""``userline doctor``: each thing that can be wrong is caused, and found."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from pymongo import MongoClient
from tests.storage.sqlite_helpers import locked
from tests.support.mongo_wire import Answer, Delay, WireProxy, error
from tests.support.mongodb import MongoServer, new_database
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.tokens import KeyServer, Signer

from userline.cli.doctor import clock, examination, machine, store
from userline.cli.doctor import command as cli_doctor
from userline.cli.doctor.distance import judge_distance
from userline.cli.doctor.findings import Level
from userline.cli.main import userline
from userline.settings.settings import load_settings
from userline.storage.mongo import MongoUserStore
from userline.storage.mongo.distance import Distance
from userline.storage.mongo.examination import DeploymentFacts
from userline.storage.sqlite import SQLiteUserStore, database
from userline.storage.sqlite.examination import FileFacts
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

SECRET = "a secret of more than 32 bytes, for tests alone"


@pytest.fixture(autouse=True)
def no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_doctor, "configure_logging", lambda *_: None)


@pytest.fixture
def port() -> int:
    return free_port()


class Visit:
    """One run of the command."""

    def __init__(self, *flags: str) -> None:
        done = CliRunner().invoke(userline, ["doctor", "--json", *flags])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        self.exit_code = done.exit_code
        value = json.loads(done.stdout)
        self.healthy: bool = value["healthy"]
        self._findings: list[dict[str, Any]] = value["findings"]
        assert self.exit_code == (0 if self.healthy else 1)

    def of(self, part: str, level: str) -> str:
        """Return what is said of a part at a level, advice included."""
        found = [item for item in self._findings if item["part"] == part and item["level"] == level]
        assert all(bool(item["advice"]) is (item["level"] != "ok") for item in found)
        return "\n".join(f"{item['text']} {item['advice']}" for item in found)

    @property
    def problems(self) -> list[str]:
        return [item["part"] for item in self._findings if item["level"] == "problem"]


class TestAWell:
    def test_a_fresh_directory_is_healthy_and_stays_empty(self, port: int, tmp_path: Path) -> None:
        visit = Visit("--port", str(port))
        assert (visit.exit_code, visit.problems) == (0, [])
        assert "not there yet; the gateway will create it" in visit.of("store", "ok")
        assert "valid; 1 is set" in visit.of("settings", "ok")
        assert "for one process" in visit.of("bus", "ok")
        assert f"port {port} is free" in visit.of("address", "ok")
        assert "everybody who can reach the gateway may read and write every user" in visit.of("tokens", "advice")
        assert list(tmp_path.iterdir()) == []

    def test_a_database_that_is_there(self, port: int, tmp_path: Path) -> None:
        opened = SQLiteUserStore(tmp_path / "userline.db", Rules())

        async def create() -> None:
            await opened.open()
            await opened.close()

        asyncio.run(create())
        visit = Visit("--port", str(port), "--secret", SECRET)
        assert visit.healthy
        assert "can be read and written" in visit.of("store", "ok")
        assert "is accepted" in visit.of("tokens", "ok")
        assert visit.of("tokens", "advice") == ""

    def test_the_text_ends_with_a_count(self, port: int) -> None:
        done = CliRunner().invoke(userline, ["doctor", "--port", str(port), "--secret", "short"])
        lines = done.stdout.splitlines()
        assert done.exit_code == 0
        assert lines[0] == "ok       settings  They are valid; 2 are set."
        index = next(number for number, line in enumerate(lines) if line.startswith("advice   tokens "))
        assert "USERLINE_SECRET is set (flag), but it has 5 bytes, but in production it needs" in lines[index]
        assert lines[index + 1].strip() == "→ Set another secret."
        assert lines[-1].startswith("0 problems, ")
        assert "short" not in done.stdout


class TestSettings:
    def test_everything_that_is_not_valid_is_a_problem(self) -> None:
        visit = Visit("--port", "x", "--workers", "2")
        assert visit.exit_code == 1
        assert visit.problems == ["settings", "settings"]
        assert "USERLINE_PORT is 'x' (flag --port)" in visit.of("settings", "problem")

    def test_variables_that_mean_nothing_are_told_of(self, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("USERLINE_PROT", "1")
        assert "Did you mean USERLINE_PORT?" in Visit("--port", str(port)).of("settings", "advice")

    def test_development_on_an_address_that_others_reach(self, port: int) -> None:
        visit = Visit("--host", "0.0.0.0", "--port", str(port), "--secret", SECRET)  # noqa: S104 - nothing is served
        assert "set USERLINE_ENV=production" in visit.of("settings", "advice")

    def test_trusted_documents_that_cannot_be_served(self, port: int, tmp_path: Path) -> None:
        (tmp_path / "documents").mkdir()
        (tmp_path / "documents" / "bad.graphql").write_text("{ user }")
        visit = Visit("--port", str(port), "--trusted-documents", "documents")
        assert visit.problems == ["settings"]
        assert "bad.graphql" in visit.of("settings", "problem")


class TestSQLite:
    def test_a_directory_that_is_not_there(self, port: int, tmp_path: Path) -> None:
        visit = Visit("--port", str(port), "--store-url", f"sqlite:///{tmp_path}/nowhere/users.db")
        assert visit.problems == ["store"]
        assert "cannot be used: No such file or directory" in visit.of("store", "problem")

    def test_a_file_of_another_program(self, port: int, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "userline.db") as connection:
            connection.execute("CREATE TABLE songs (title TEXT)")
        connection.close()
        visit = Visit("--port", str(port))
        assert visit.problems == ["store"]
        assert "is the SQLite database of another program" in visit.of("store", "problem")
        assert "Name another file" in visit.of("store", "problem")

    @pytest.mark.parametrize(
        ("facts", "level", "says"),
        [
            (FileFacts(True, False, 1, 0, 1 << 40, "3.45.1"), Level.PROBLEM, "this user may not write it"),
            (FileFacts(False, False, 0, 0, 1 << 40, "3.45.1"), Level.PROBLEM, "may not write its directory"),
            (FileFacts(True, True, 1 << 34, 0, 1 << 32, "3.45.1"), Level.ADVICE, "Only 4.0 GiB are free"),
            (FileFacts(True, True, 1, 1 << 31, 1 << 40, "3.45.1"), Level.ADVICE, "log has grown to 2.0 GiB"),
            (FileFacts(True, True, 1, 0, 1 << 20, "3.45.1"), Level.PROBLEM, "Only 1 MiB are free"),
            (FileFacts(True, True, 1, 0, 1 << 40, "3.45.1", 0o644), Level.ADVICE, "(mode 0644)"),
            (FileFacts(True, True, 1, 0, 1 << 40, "3.45.1", 0o644, False), Level.PROBLEM, "(mode 0644)"),
            (FileFacts(False, True, 0, 0, 1 << 40, "3.45.1", holders=(7, 8)), Level.PROBLEM, "process (7, 8) had it"),
        ],
    )
    def test_files(self, facts: FileFacts, level: Level, says: str) -> None:
        found = store._judge_file(SQLiteUserStore("users.db", Rules()), facts)
        assert any(item.level is level and says in item.text and item.advice for item in found)

    def test_the_files_themselves(self, port: int, tmp_path: Path) -> None:
        opened = SQLiteUserStore(tmp_path / "userline.db", Rules())

        async def visits() -> list[Visit]:
            await opened.open()
            (tmp_path / "userline.db").chmod(0o644)
            seen = [await asyncio.to_thread(Visit, "--port", str(port))]
            (tmp_path / "userline.db").chmod(0o600)
            seen.append(await asyncio.to_thread(Visit, "--port", str(port)))
            (tmp_path / "userline.db").unlink()
            seen.append(await asyncio.to_thread(Visit, "--port", str(port)))
            await opened.close()
            return seen

        wide, narrow, gone = asyncio.run(visits())
        assert "Other users of the machine than the owner may use the file" in wide.of("store", "advice")
        assert "chmod 0600" in wide.of("store", "advice")
        assert narrow.of("store", "advice") == ""
        assert narrow.healthy
        assert f"process ({os.getpid()}) had it open" in gone.of("store", "problem")

    def test_an_empty_file_is_left_empty(self, port: int, tmp_path: Path) -> None:
        (tmp_path / "userline.db").touch()
        visit = Visit("--port", str(port))
        assert visit.healthy
        assert "The file is empty. The gateway will create a store in it." in visit.of("store", "ok")
        assert (tmp_path / "userline.db").read_bytes() == b""

    def test_a_file_that_another_program_has_locked(
        self, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.test_a_well_known_store(port, tmp_path)
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
        with locked(tmp_path / "userline.db"):
            visit = Visit("--port", str(port))
        assert visit.problems == ["store"]
        assert "a read or a write failed" in visit.of("store", "problem")

    def test_a_well_known_store(self, port: int, tmp_path: Path) -> None:
        opened = SQLiteUserStore(tmp_path / "userline.db", Rules())

        async def create() -> None:
            await opened.open()
            await opened.close()

        asyncio.run(create())
        before = (tmp_path / "userline.db").read_bytes()
        assert Visit("--port", str(port)).healthy
        assert (tmp_path / "userline.db").read_bytes() == before


class TestMongoDB:
    def test_a_server_that_answers(self, nx: MongoServer, port: int) -> None:
        url = nx.url(timeoutMS=10_000)
        visit = Visit("--port", str(port), "--store-url", url)
        assert visit.healthy
        assert "MongoDB " in visit.of("store", "ok")
        assert "of userline yet; the gateway will create it" in visit.of("store", "advice")
        assert "several gateways may use the same MongoDB" in visit.of("bus", "advice")
        with MongoClient[dict[str, object]](url) as client:
            name = client.get_default_database().name
            assert client[name]["userline_meta"].find_one() is None
            opened = MongoUserStore(url, Rules())

            async def create() -> None:
                await opened.open()
                await opened.close()

            asyncio.run(create())
            visit = Visit("--port", str(port), "--store-url", url)
            assert visit.healthy
            assert "can be read and written" in visit.of("store", "ok")
            assert "MongoDB " in visit.of("store", "ok")
            assert [item["_id"] for item in client[name]["userline_meta"].find()] == ["format"]

    @pytest.mark.parametrize("driver", ["motor", "pymongo"])
    async def test_a_server_that_is_far_away(self, nx: MongoServer, port: int, driver: str) -> None:
        async with await WireProxy.open(nx.port) as proxy:
            url = proxy.url(new_database(), retryWrites="false", timeoutMS=5_000)
            opened = MongoUserStore(url, Rules())
            await opened.open()
            await opened.close()
            proxy.rule(Delay(0.11), times=None)
            flags = ["--port", str(port), "--store-url", url, "--mongodb-driver", driver]
            visit = await asyncio.to_thread(Visit, *flags)
        assert visit.healthy
        assert re.search(r"The round-trip time to MongoDB is 1[1-9]\d ms", visit.of("store", "ok"))
        assert "Run the gateways close" in visit.of("store", "advice")
        assert ("USERLINE_MONGODB_DRIVER=pymongo" in visit.of("store", "advice")) is (driver == "motor")
        assert f"The driver is {'Motor' if driver == 'motor' else 'PyMongo'}" in visit.of("store", "ok")

    @pytest.mark.parametrize(
        ("driver", "milliseconds", "cores", "advised"),
        [
            ("motor", 0.3, 2, False),
            ("motor", 0.3, 1, True),
            ("motor", 4.9, 8, False),
            ("motor", 5, 8, True),
            ("motor", 80, 1, True),
            ("pymongo", 0.3, 1, False),
            ("pymongo", 80, 1, False),
        ],
    )
    def test_drivers(self, driver: Any, milliseconds: float, cores: int, advised: bool) -> None:
        found = judge_distance(driver, Distance(milliseconds / 1000, 9), cores)
        assert re.search(f"{milliseconds:g}(.0)? ms", found[0].text)
        assert [item.level for item in found] == [Level.OK, Level.ADVICE][: 1 + advised]
        if advised:
            assert "USERLINE_MONGODB_DRIVER=pymongo" in found[1].advice

    async def test_a_server_that_refuses_what_is_written(self, nx: MongoServer, port: int) -> None:
        async with await WireProxy.open(nx.port) as proxy:
            url = proxy.url(new_database(), retryWrites="false", timeoutMS=10_000)
            opened = MongoUserStore(url, Rules())
            await opened.open()
            await opened.close()
            rule = proxy.rule(Answer(error(121, "cAnArY")), "insert")
            visit = await asyncio.to_thread(Visit, "--port", str(port), "--store-url", url)
        assert (rule.hits, visit.problems) == (1, ["store"])
        said = visit.of("store", "problem")
        assert "the validator of the collection users does not accept a user" in said
        assert not re.search("cannot be looked at|cAnArY", said)

    def test_a_server_that_is_away(self, port: int) -> None:
        visit = Visit("--port", str(port), "--store-url", f"mongodb://127.0.0.1:{free_port()}/userline?timeoutMS=2000")
        assert visit.problems == ["store"]
        assert "Connection refused" in visit.of("store", "problem")

    @pytest.mark.parametrize(
        ("facts", "level", "says"),
        [
            (("8.0.4", "rs0", False, 3, 0.0, ()), Level.OK, "the replica set rs0 of 3"),
            (("8.0.4", None, True, 0, 0.0, ()), Level.OK, "a sharded cluster"),
            (("4.4.1", "rs0", False, 3, 0.0, ()), Level.ADVICE, "older than what userline is written for"),
            (("8.0.4", None, False, 0, 0.0, ()), Level.ADVICE, "A single server is not available"),
            (("8.0.4", None, False, 0, 0.0, ()), Level.PROBLEM, "A single server has no change stream"),
            (("8.0.4", "rs0", False, 3, 0.0, ("name_1",)), Level.ADVICE, "each write also maintains name_1"),
            (
                ("8.0.4", "rs0", False, 3, 0.0, (), ("email_1",)),
                Level.PROBLEM,
                "refused by these unique indexes: email_1",
            ),
            (
                ("8.0.4", "rs0", False, 3, 0.0, (), (), ("old_1",)),
                Level.PROBLEM,
                "deletes users automatically, because of old_1",
            ),
            (("8.0.4", "rs0", False, 3, 0.0, (), (), (), True), Level.ADVICE, "A validator of the collection"),
        ],
    )
    def test_deployments(self, facts: Any, level: Level, says: str) -> None:
        settings = load_settings({"store_url": "mongodb://localhost/userline", "change_stream": True})
        found = store._judge_deployment(settings, DeploymentFacts(*facts))
        assert any(item.level is level and says in item.text for item in found)

    @pytest.mark.parametrize(
        ("version", "is_old"), [("6.0.1", False), ("10.0.0", False), ("5.0.14", True), ("?", True)]
    )
    def test_versions_are_compared_as_numbers(self, version: str, is_old: bool) -> None:
        assert DeploymentFacts(version, None, False, 0, 0.0, ()).is_old is is_old


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """Something that gives each of its first callers one answer. The value is its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(4):
                connection, _ = listening.accept()
                connection.recv(1000)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


class TestRedis:
    def test_a_message_is_heard(self, port: int, tmp_path: Path) -> None:
        server = RedisServer(tmp_path)
        try:
            visit = Visit("--port", str(port), "--bus-url", server.url)
            assert visit.healthy
            assert "a message was heard" in visit.of("bus", "ok")
            assert "This machine and Redis agree" in visit.of("clock", "ok")
            server.freeze()
            visit = Visit("--port", str(port), "--bus-url", server.url)
            assert "does not answer in time" in visit.of("bus", "problem")
            server.thaw()
        finally:
            server.kill()

    def test_a_replica(self, port: int, tmp_path: Path) -> None:
        (tmp_path / "replica").mkdir()
        master, replica = RedisServer(tmp_path), RedisServer(tmp_path / "replica")
        try:
            replica.follow(master)
            visit = Visit("--port", str(port), "--bus-url", replica.url)
            assert visit.problems == ["bus"]
            said = visit.of("bus", "problem")
            assert "This Redis is a replica" in said
            assert "Set USERLINE_BUS_URL to its master" in said
            replica.promote()
            assert Visit("--port", str(port), "--bus-url", replica.url).healthy
        finally:
            master.kill()
            replica.kill()

    @pytest.mark.parametrize(
        ("channels", "more"),
        [
            (("&live:shop:*",), ()),
            (("&live:shop:*",), ("+ping", "+hello", "+auth")),
            (("&live:shop:changes", "&live:shop:presence", "&live:shop:echo-*"), ()),
        ],
    )
    def test_a_user_who_may_do_what_a_gateway_does_and_nothing_else(
        self, port: int, tmp_path: Path, channels: tuple[str, ...], more: tuple[str, ...]
    ) -> None:
        server = RedisServer(tmp_path)
        try:
            rule = ("resetchannels", "-@all", *channels, "+subscribe", "+publish", *more)
            server.command("ACL", "SETUSER", "shop", "on", ">hush", *rule)
            url = server.url.replace("//", "//shop:hush@")
            flags = ("--port", str(port), "--bus-url", url, "--bus-prefix", "live", "--app-id")
            visit = Visit(*flags, "shop")
            assert visit.healthy
            assert "a message was heard" in visit.of("bus", "ok")
            assert visit.of("bus", "advice") == ""
            visit = Visit(*flags, "blog")
            assert visit.problems == ["bus"]
            said = visit.of("bus", "problem")
            assert "This user of Redis does not have the rights that a gateway needs" in said
            assert "ACL SETUSER" in said
            assert "hush" not in said
            visit = Visit("--port", str(port), "--bus-url", url.replace("hush", "hash"))
            assert "does not accept this user name and password" in visit.of("bus", "problem")
        finally:
            server.kill()

    def test_a_redis_that_does_not_say_what_it_is(self, port: int, tmp_path: Path) -> None:
        server = RedisServer(tmp_path, "--rename-command", "HELLO", "", "--rename-command", "INFO", "")
        try:
            visit = Visit("--port", str(port), "--bus-url", server.url + "?protocol=2")
            assert visit.healthy
            assert "does not tell this user whether it is a master" in visit.of("bus", "advice")
        finally:
            server.kill()

    def test_something_else_that_listens_there(self, port: int) -> None:
        with _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as other:
            visit = Visit("--port", str(port), "--bus-url", f"redis://127.0.0.1:{other}")
            assert "does not speak the protocol of Redis" in visit.of("bus", "problem")

    def test_no_redis(self, port: int) -> None:
        visit = Visit("--port", str(port), "--bus-url", f"redis://:hush@127.0.0.1:{free_port()}")
        assert visit.problems == ["bus"]
        assert "Connect" in visit.of("bus", "problem")
        assert "hush" not in visit.of("bus", "problem")


class TestPostgres:
    def test_a_message_is_heard(self, port: int) -> None:
        server = PostgresServer()
        try:
            visit = Visit("--port", str(port), "--bus-url", server.url)
            assert visit.healthy
            assert "PostgreSQL 1" in visit.of("bus", "ok")
            assert "a message was heard" in visit.of("bus", "ok")
            assert "This machine and PostgreSQL agree" in visit.of("clock", "ok")
            assert server.command("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'userline'") == "0"
            for change, says in (
                (("hush", "hushhush"), "does not accept this user name and password"),
                (("/postgres", "/nothing"), "has no such database"),
                (("/postgres", "/postgres?sslmode=require"), "offers no TLS"),
            ):
                visit = Visit("--port", str(port), "--bus-url", server.url.replace(*change))
                assert visit.problems == ["bus"]
                said = visit.of("bus", "problem")
                assert "Nothing can be sent through PostgreSQL" in said
                assert says in said
                assert "hush" not in said
            server.freeze()
            visit = Visit("--port", str(port), "--bus-url", server.url)
            assert "PostgreSQL does not answer in time" in visit.of("bus", "problem")
            server.thaw()
            server.demote()
            visit = Visit("--port", str(port), "--bus-url", server.url)
            assert "This PostgreSQL is a standby" in visit.of("bus", "problem")
        finally:
            server.remove()

    def test_something_else_that_listens_there(self, port: int) -> None:
        with _answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as other:
            visit = Visit("--port", str(port), "--bus-url", f"postgres://u:hush@127.0.0.1:{other}/d")
            assert "does not speak the protocol of PostgreSQL" in visit.of("bus", "problem")

    def test_nobody_is_there(self, port: int) -> None:
        visit = Visit("--port", str(port), "--bus-url", f"postgres://u:hush@127.0.0.1:{free_port()}/d")
        assert visit.problems == ["bus"]
        assert "Connect" in visit.of("bus", "problem")
        assert "hush" not in visit.of("bus", "problem")


class TestClocks:
    @pytest.mark.parametrize(
        ("ahead", "level", "says"),
        [
            (0.0, Level.OK, "agree"),
            (-0.9, Level.OK, "agree"),
            (2.5, Level.ADVICE, "2.5 s ahead"),
            (-45, Level.PROBLEM, "45.0 s behind, which is more than the 30 s of tolerance for tokens"),
        ],
    )
    def test_another_clock(self, ahead: float, level: Level, says: str) -> None:
        finding = clock.compare("Redis", ahead)
        assert finding.level is level
        assert says in finding.text

    def test_a_clock_that_was_never_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(time, "time", lambda: 86_400.0)
        assert clock.examine_clock().level is Level.PROBLEM


class TestTokens:
    def test_keys_that_can_be_fetched(self, port: int) -> None:
        server = KeyServer(Signer.new("ES256", "one"))
        try:
            visit = Visit("--port", str(port), "--jwks-url", server.url)
            assert "There are keys for ES256" in visit.of("tokens", "ok")
            server.show()
            visit = Visit("--port", str(port), "--jwks-url", server.url)
            assert "There is no key" in visit.of("tokens", "problem")
            server.status = 500
            visit = Visit("--port", str(port), "--jwks-url", server.url)
            assert "cannot be fetched" in visit.of("tokens", "problem")
            assert visit.problems == ["tokens"]
        finally:
            server.stop()


class TestTheMachine:
    def test_a_port_that_is_taken(self, port: int) -> None:
        with socket.create_server(("127.0.0.1", port)):
            assert "listens on 127.0.0.1" in Visit("--port", str(port)).of("address", "advice")

    def test_an_address_of_another_machine(self, port: int) -> None:
        visit = Visit("--host", "192.0.2.1", "--port", str(port), "--allow-open")
        assert visit.problems == ["address"]
        assert "Cannot assign requested address" in visit.of("address", "problem")

    @pytest.mark.parametrize(("env", "level"), [("production", Level.PROBLEM), ("development", Level.ADVICE)])
    def test_fewer_files_than_sockets(self, env: str, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1_048_576))
        settings = load_settings({"env": env, "secret": SECRET, "max_sockets": 5000})
        finding = machine.examine_files(settings)
        assert finding.level is level
        assert "ulimit -n 5512" in finding.advice
        assert "USERLINE_MAX_SOCKETS=512" in finding.advice

    def test_files_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert machine.examine_files(load_settings({})).level is Level.OK

    def test_the_queue_of_connections(self, tmp_path: Path) -> None:
        path = tmp_path / "somaxconn"
        assert machine.examine_backlog(path) is None
        for most, level in (("128\n", Level.ADVICE), ("4096\n", Level.OK)):
            path.write_text(most)
            finding = machine.examine_backlog(path)
            assert finding is not None
            assert finding.level is level

    def test_graphiql_that_was_not_built(self, port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(examination, "static_directory", lambda: tmp_path / "nowhere")
        assert "make graphiql" in Visit("--port", str(port)).of("graphiql", "advice")
        assert "not served" in Visit("--port", str(port), "--no-graphiql").of("graphiql", "ok")
