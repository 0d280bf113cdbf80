"""A real PostgreSQL: a cluster of the test's own, with a server on the loopback address."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.needed import program
from tests.support.ports import free_port

USER: Final = "userline"
PASSWORD: Final = "hush"

_PATIENCE = 30.0
_SERVER_USER: Final = "postgres"
"""Who runs it where the tests run as root, which PostgreSQL refuses to. Debian's package brings that user."""

_OPTIONS: Final = (
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=4MB",
    "max_connections=40",
    "max_worker_processes=2",
    "autovacuum=off",
    "log_min_messages=log",
)


class PostgresServer:
    """PostgreSQL that can be killed, frozen and started again at the same port. Its role ``userline`` owns it.

    ``options`` are more settings: ``max_connections=5``. It runs in a folder of its own, which ends with the server.
    """

    def __init__(self, *options: str, encoding: str = "UTF8") -> None:
        folder = _folder()
        # Only Unix sockets have a bound on their path, and this one is not used by the tests but where they say so.
        self.directory = folder / "data"
        self.folder = folder
        self._options = options
        _run("cp", "-a", str(_template(encoding)), str(self.directory))
        self.port = free_port()
        self.url = f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        self.log = folder / "log"
        self.start()

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        options = [*_OPTIONS, *self._options, f"port={self.port}", f"unix_socket_directories={self.folder}"]
        command = [_binary("postgres"), "-D", str(self.directory), *(f"--{option}" for option in options)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(_as_server(command), stdout=log, stderr=log, cwd="/")
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.command("SELECT 1")
            except (OSError, RuntimeError):
                assert time.monotonic() < deadline, f"PostgreSQL does not answer: {self.log.read_text()}"
                assert self._process.poll() is None, f"PostgreSQL has ended: {self.log.read_text()}"
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it as a power cut would, all of its processes."""
        processes = self._processes()
        for process in processes:
            _signal(process, signal.SIGKILL)
        self._process.wait(_PATIENCE)
        deadline = time.monotonic() + _PATIENCE
        while any(Path(f"/proc/{process}").exists() for process in processes[1:]):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        """End it as an operator does who cannot wait."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_PATIENCE)

    def remove(self) -> None:
        """End it, and leave nothing behind."""
        if self._process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def freeze(self) -> None:
        """Let it answer nothing, with every connection open."""
        for process in self._processes():
            _signal(process, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._processes():
            _signal(process, signal.SIGCONT)

    def kill_listeners(self) -> None:
        """End the connections of everybody else."""
        self.command("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'userline'")

    def demote(self) -> None:
        """Become a standby, of a primary that is away."""
        self.kill()
        standby = self.directory / "standby.signal"
        standby.touch()
        _own(standby)
        self.start()

    def promote(self) -> None:
        """Become a primary."""
        self.command("SELECT pg_promote()")

    def certify(self) -> Path:
        """Let it offer TLS for 127.0.0.1; return the file with the certificate."""
        key, certificate = self.directory / "server.key", self.directory / "server.crt"
        subprocess.run(
            ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=127.0.0.1", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
            check=True, capture_output=True,
        )  # fmt: skip
        key.chmod(0o600)
        _own(key)
        _own(certificate)
        self.command("ALTER SYSTEM SET ssl = on")
        self.command("SELECT pg_reload_conf()")
        public = self.folder / "ca.crt"
        shutil.copy(certificate, public)
        return public

    def command(self, *statements: str, database: str = "postgres") -> str:
        """Run statements, each on its own, as an operator would; return what the last one says."""
        with socket.create_connection(("127.0.0.1", self.port), 5):
            pass
        environment = {**os.environ, "PGPASSWORD": PASSWORD, "PGCONNECT_TIMEOUT": "5", "PGAPPNAME": "operator"}
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER]
        said = ""
        for statement in statements:
            done = subprocess.run(
                [_binary("psql"), *address, "-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(done.stderr)
            said = done.stdout.strip()
        return said

    def _processes(self) -> list[int]:
        """The server's processes, the one that starts all others first."""
        first = self._process.pid
        with suppress(OSError):
            return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]
        return [first]


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


def _binary(name: str) -> str:
    """Debian has the programs of the server where PATH does not lead."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(found[-1]) if found else program(name, "it comes with a PostgreSQL server")


def _as_server(command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={_SERVER_USER}", f"--regid={_SERVER_USER}", "--clear-groups", *command]


def _run(*command: str) -> None:
    subprocess.run(_as_server(list(command)), check=True, capture_output=True, cwd="/")


def _own(path: Path) -> None:
    if os.geteuid() == 0:
        server = pwd.getpwnam(_SERVER_USER)
        os.chown(path, server.pw_uid, server.pw_gid)


def _folder() -> Path:
    """Return a new folder that is the server's own: a folder of the tests is nobody else's to enter."""
    _binary("postgres")
    folder = Path(tempfile.mkdtemp(prefix="userline-postgres-"))
    _own(folder)
    return folder


@cache
def _template(encoding: str) -> Path:
    """A cluster as it comes, to be copied: making one takes seconds."""
    folder = _folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    password = folder / "password"
    password.write_text(PASSWORD)
    _own(password)
    _run(
        _binary("initdb"), "-D", str(folder / "data"), "-U", USER, "-E", encoding, "--locale=C", "--no-sync",
        "-A", "scram-sha-256", f"--pwfile={password}",
    )  # fmt: skip
    return folder / "data"
