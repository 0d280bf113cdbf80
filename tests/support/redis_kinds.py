"""Redis as people run it: behind Sentinels, as a cluster, by TLS with users."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import redis

from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.redis import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

_DOCS = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")

RULES, CLUSTER_RULES, SENTINEL_RULES = re.findall(r"^ACL SETUSER \w+ on >PASSWORD (.*)$", _DOCS, re.MULTILINE)
"""What the user of a gateway may do as the docs have it: at a Redis, at a node of a cluster, and at a Sentinel."""

ALL: Final = bool(os.environ.get("USERLINE_TEST_REDIS_KINDS"))
"""Whether everything is tested in every kind, in place of what differs between them."""

USER: Final = "shop:secret"
SENTINEL_PASSWORD: Final = "hush&hush"


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Return when the condition is true; what it raises of Redis means that it is not."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class TlsRedis(RedisServer):
    """A Redis that speaks TLS, with a certificate for localhost of a CA of its own, and has one user.

    ``port`` is without TLS, for the test; ``rule`` is the user's, after the name.
    """

    def __init__(self, directory: Path, rule: str, *options: str, host: str = "DNS:localhost") -> None:
        self.authority = Authority(directory)
        self.certificate, self.key = self.authority.sign("redis", host)
        self.tls_port = free_port()
        tls = ("--tls-port", self.tls_port, "--tls-cert-file", self.certificate, "--tls-key-file", self.key)
        trust = ("--tls-ca-cert-file", self.authority.certificate, "--tls-auth-clients", "no")
        users = directory / "users.acl"
        users.write_text(f"user default on nopass ~* &* +@all\n{rule and 'user ' + rule}\n")
        super().__init__(directory, *map(str, (*tls, *trust)), "--aclfile", str(users), *options)
        self.url = f"rediss://{USER}@localhost:{self.tls_port}?ssl_ca_certs={self.authority.certificate}"


class Sentinels:
    """Three Sentinels that watch over a master and its replicas, all with a password of their own.

    What of ``tests/changes/contract`` is done to a server is done to the master.
    """

    def __init__(
        self, directories: Callable[[str], Path], *, replicas: int = 0, tls: TlsRedis | None = None, program: str = ""
    ) -> None:
        self._sentinels: list[subprocess.Popen[bytes]] = []
        self.redis = [tls or RedisServer(directories("redis"), program=program)]
        for _ in range(replicas):
            self.redis.append(RedisServer(directories("redis"), program=program))
            self.redis[-1].follow(self.redis[0])
        for replica in self.redis[1:]:
            wait_for(
                lambda of=replica: "master_link_status:up" in _info(of, "replication"),  # type: ignore[misc]
                "a replica does not follow",
            )
        self._program = program or "redis-server"
        self._tls = tls
        self.ports = [free_port() for _ in range(3)]
        try:
            for port in self.ports:
                self._start(directories("sentinel"), port)
            for port in self.ports:
                wait_for(lambda at=port: self._knows_all(at, replicas), "the Sentinels do not know of each other", 60)  # type: ignore[misc]
        except BaseException:
            self.remove()
            raise
        scheme, end = ("rediss", f"&ssl_ca_certs={tls.authority.certificate}") if tls else ("redis", "")
        host = "localhost" if tls else "127.0.0.1"
        hosts = ",".join(f"{host}:{port}" for port in self.ports)
        user = f"{USER}@" if tls else ""
        self.url = f"{scheme}+sentinel://{user}{hosts}/mymaster?sentinel_password=hush%26hush{end}"

    def _start(self, directory: Path, port: int) -> None:
        at = self.redis[0].port
        lines = [
            "sentinel resolve-hostnames yes",
            "sentinel announce-hostnames yes",
            f"sentinel monitor mymaster localhost {at} 2",
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 3000",
            f'requirepass "{SENTINEL_PASSWORD}"',
            f'sentinel sentinel-pass "{SENTINEL_PASSWORD}"',
        ]
        ports = ["--port", str(port)]
        if self._tls:
            lines[2] = f"sentinel monitor mymaster localhost {self._tls.tls_port} 2"
            lines += [
                f"tls-port {port}",
                "port 0",
                f"tls-cert-file {self._tls.certificate}",
                f"tls-key-file {self._tls.key}",
                f"tls-ca-cert-file {self._tls.authority.certificate}",
                "tls-auth-clients no",
                "tls-replication yes",
            ]
            ports = []
        (directory / "sentinel.conf").write_text("\n".join(lines) + "\n")
        command = [self._program, str(directory / "sentinel.conf"), "--sentinel", *ports, "--bind", "127.0.0.1"]
        self._sentinels.append(subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL))

    def command(self, *words: str, at: int = 0) -> object:
        """Send a command to a Sentinel, the first if it is not said to which."""
        with redis.Redis(port=self.ports[at], password=SENTINEL_PASSWORD, socket_timeout=5, protocol=2) as client:
            answer: object = client.execute_command(*words)
            return answer

    def _knows_all(self, port: int, replicas: int) -> bool:
        ca = str(self._tls.authority.certificate) if self._tls else None
        with redis.Redis(
            host="localhost",
            port=port,
            password=SENTINEL_PASSWORD,
            socket_timeout=1,
            protocol=2,
            **({"ssl": True, "ssl_ca_certs": ca} if ca else {}),  # type: ignore[arg-type]
        ) as client:
            state = client.sentinel_master("mymaster")
            return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == replicas)

    @property
    def masters(self) -> list[RedisServer]:
        """Who are masters by what they say of themselves."""
        return [server for server in self.redis if server.is_running and "role:master" in _info(server, "replication")]

    def stop_sentinel(self) -> None:
        """End one of those that are left, the first of the URL first."""
        process = self._sentinels.pop(0)
        process.kill()
        process.wait(20)

    def kill(self) -> None:
        self.redis[0].kill()

    def start(self) -> None:
        self.redis[0].start()

    def freeze(self) -> None:
        self.redis[0].freeze()

    def thaw(self) -> None:
        self.redis[0].thaw()

    def kill_listeners(self) -> None:
        self.redis[0].kill_listeners()

    def remove(self) -> None:
        """End everything for good."""
        while self._sentinels:
            self.stop_sentinel()
        for server in self.redis:
            server.remove()


class Cluster:
    """Three masters of a cluster. ``user`` goes into the URL. What is done is done to all nodes."""

    def __init__(self, directories: Callable[[str], Path], *, user: str = "", program: str = "") -> None:
        buses = [free_port() for _ in range(3)]
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port")
        self.nodes = [RedisServer(directories("redis"), *options, str(port), program=program) for port in buses]
        for number, node in enumerate(self.nodes):
            node.command("CLUSTER", "ADDSLOTSRANGE", str(number * 5461), str(number * 5461 + 5460 + number // 2))
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node, port in zip(self.nodes[1:], buses[1:], strict=True):
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port), str(port))
        self.wait()
        self.url = f"redis+cluster://{user}" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def wait(self) -> None:
        """Return when every node sees all others."""
        for node in self.nodes:
            wait_for(
                lambda of=node: (
                    "cluster_state:ok" in (facts := str(of.command("CLUSTER", "INFO"))) and "nodes:3" in facts
                ),  # type: ignore[misc]
                "the cluster is not up",
            )

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        self.wait()

    def freeze(self) -> None:
        for node in self.nodes:
            node.freeze()

    def thaw(self) -> None:
        for node in self.nodes:
            node.thaw()

    def kill_listeners(self) -> None:
        for node in self.nodes:
            node.kill_listeners()

    def remove(self) -> None:
        """End everything for good."""
        self.kill()


def _info(server: RedisServer, section: str) -> str:
    facts = server.command("INFO", section)
    assert isinstance(facts, dict)
    return "\n".join(f"{key}:{value}" for key, value in facts.items())
