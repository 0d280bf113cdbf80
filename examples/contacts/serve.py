"""Serves the contact list: a gateway filled with people, tokens for two of them, and others who come and go.

It is a demonstration: whoever reaches the page may be anybody, so that it listens on the loopback address alone. What
it makes is kept in a temporary folder, and gone when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from people import people

from userline.gateway.graphiql.build import BuildError, install_packages, require_node

HERE = Path(__file__).parent
DIST = HERE / "dist"
SEATS = (3, 6)
"""Who sits at the two panes: places in the list."""
PRESENCE_SECONDS = 8
HERE_AT_ONCE = 200
"""How many of the others are there at a time. Each shows itself with a request before it would be gone."""


def build() -> None:
    """Build the page, unless it is newer than all that it is made from."""
    sources = [
        path
        for folder in ("src", "../../clients/typescript/src", "../../clients/react/src")
        for path in (HERE / folder).iterdir()
    ]
    sources += [HERE / name for name in ("index.html", "package-lock.json", "vite.config.js")]
    page = DIST / "index.html"
    if page.is_file() and page.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return
    node = require_node()
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        print("Installing React and Vite …", flush=True)
        install_packages(HERE, node)
    print("Building the page …", flush=True)
    for command in (
        ["node_modules/typescript/bin/tsc", "-p", "."],
        ["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"],
    ):
        done = subprocess.run([str(node.executable), *command], cwd=HERE, env=node.environment(), check=False)
        if done.returncode:
            raise BuildError("The page could not be built.")


class Gateway:
    """A gateway with people in it, in a process of its own."""

    def __init__(self, folder: Path, page: str, users: list[dict[str, object]]) -> None:
        self._secret = secrets.token_urlsafe(32)
        self._tokens: dict[str, str] = {}
        store = ("--store-url", f"sqlite:///{folder}/users.db")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
        run = partial(
            subprocess.run, env=clean, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
        )
        userline = [sys.executable, "-m", "userline"]
        done = run([*userline, "import", "-", *store], input="".join(f"{json.dumps(user)}\n" for user in users))
        if done.returncode:
            raise SystemExit(done.stderr)
        # Anybody may change anybody here, and who is gone is soon seen to be.
        flags = ["--client-user-syncing", "any", "--presence-seconds", str(PRESENCE_SECONDS), "--cors-origins", page]
        self._log = folder / "gateway.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*userline, "serve", "--port", "0", "--drain-seconds", "0", *store, *flags],
                env=clean | {"USERLINE_SECRET": self._secret},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address = self._wait()

    def _wait(self) -> str:
        for _ in range(300):
            found = re.search(r"http://(127\.0\.0\.1:\d+)", self._log.read_text())
            if found:
                return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(self._log.read_text())

    def token(self, user_id: str) -> str:
        """Return a token of a user, as a back end makes it for who has signed in."""
        claims = {"iss": "userline", "tokenType": "user", "sub": user_id, "exp": int(time.time()) + 3600}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def come_and_go(self, ids: list[str]) -> None:
        """Have some people show themselves, one after the other, and now and then another one. Never returns."""
        chosen = random.Random(3)
        there = chosen.sample(ids, HERE_AT_ONCE)
        tokens = {user_id: self.token(user_id) for user_id in ids}
        connection = HTTPConnection(self.address, timeout=10)
        body = json.dumps({"query": "{ app { id } }"})
        pause = PRESENCE_SECONDS * 0.6 / HERE_AT_ONCE
        at = time.monotonic()
        while True:
            for place, user_id in enumerate(there):
                try:
                    headers = {"authorization": f"Bearer {tokens[user_id]}", "content-type": "application/json"}
                    connection.request("POST", "/graphql", body, headers)
                    connection.getresponse().read()
                except OSError:
                    connection.close()
                if chosen.random() < pause:  # about once a second
                    there[place] = chosen.choice(ids)
                at = max(at + pause, time.monotonic() - PRESENCE_SECONDS)
                time.sleep(max(at - time.monotonic(), 0))


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, what it has to know, and tokens."""

    gateway: Gateway
    ids: list[str]

    def do_GET(self) -> None:
        """Answer one request."""
        url = urlsplit(self.path)
        if url.path == "/configuration.json":
            seats = [self.ids[place] for place in SEATS]
            self._send(
                "application/json",
                json.dumps({"gateway": f"ws://{self.gateway.address}/graphql", "people": self.ids, "seats": seats}),
            )
        elif url.path == "/token":
            self._send("text/plain", self.gateway.token(parse_qs(url.query).get("user", ["nobody"])[0]))
        else:
            super().do_GET()

    def _send(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> int:
    """Build, fill, serve until Ctrl+C; return the exit code."""
    parser = argparse.ArgumentParser(description="Serves the contact list on the loopback address.")
    parser.add_argument("--port", type=int, default=5180, help="where; 0 = any free port (%(default)s)")
    port = parser.parse_args().port
    try:
        build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    users = people(500)
    Handler.ids = [str(user["id"]) for user in users]
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, directory=str(DIST)))
    except OSError as error:
        print(f"Port {port} cannot be had ({error.strerror}): say another one with --port.", file=sys.stderr)
        return 1
    url = f"http://127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory(prefix="userline-contacts-") as folder:
        gateway = Handler.gateway = Gateway(Path(folder), url, users)
        others = [user_id for place, user_id in enumerate(Handler.ids) if place not in SEATS]
        threading.Thread(target=gateway.come_and_go, args=(others,), daemon=True).start()
        print(f"Open {url}/ (Ctrl+C ends it)", flush=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            gateway.process.wait()
            print("The gateway has ended by itself.", file=sys.stderr)
        finally:
            gateway.process.terminate()
            gateway.process.wait(30)
    return 1


if __name__ == "__main__":
    sys.exit(main())
