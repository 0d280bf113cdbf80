"""A real Redis: a ``redis-server`` process of the test's own on the loopback address."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import TYPE_CHECKING

import redis

from tests.support import needed
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE = 20.0


class RedisServer:
    """Redis without persistence, which can be killed, frozen and started again at the same port.

    ``options`` are more of its command line; ``program`` may be one that speaks as Redis does. A replica needs a
    directory other than its master's.
    """

    def __init__(self, directory: Path, *options: str, program: str = "") -> None:
        self._program = needed.program(program or "redis-server")
        self._directory = directory
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        options += ["--repl-diskless-sync-delay", "0", *self._options]
        self._process = subprocess.Popen(
            [self._program, *options], cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                with redis.Redis(port=self.port, socket_timeout=1, protocol=2) as client:
                    client.ping()
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                assert self._process.poll() is None, "redis-server has ended"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(_PATIENCE)

    @property
    def is_running(self) -> bool:
        """Whether it has not been killed."""
        return self._process.poll() is None

    def remove(self) -> None:
        """End it for good."""
        self.kill()

    def kill_listeners(self) -> None:
        """End the connections of everybody who listens."""
        self.command("CLIENT", "KILL", "TYPE", "pubsub")

    def freeze(self) -> None:
        """Let it answer nothing, with every connection open."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def follow(self, master: RedisServer) -> None:
        """Become a replica of another one."""
        self.command("REPLICAOF", "127.0.0.1", str(master.port))

    def promote(self) -> None:
        """Become a master."""
        self.command("REPLICAOF", "NO", "ONE")

    def break_saving(self) -> None:
        """Let it be configured to save what it has, and be unable to, as with a disk that is full."""
        self.command("CONFIG", "SET", "save", "3600 1")
        (self._directory / "dump.rdb").mkdir()
        self.command("BGSAVE")
        deadline = time.monotonic() + _PATIENCE
        while self.command("INFO", "persistence")["rdb_last_bgsave_status"] != "err":  # type: ignore[index]
            assert time.monotonic() < deadline, "saving has not failed"
            time.sleep(0.02)

    def command(self, *words: str) -> object:
        """Send a command, as an operator would."""
        with redis.Redis(port=self.port, socket_timeout=5, protocol=2) as client:
            answer: object = client.execute_command(*words)
            return answer
