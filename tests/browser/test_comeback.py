"""Subscriptions of clients that others wrote, in a real browser, while two gateways behind HAProxy are restarted.

The recipes are those of PROTOCOL.md, as they stand there. Beside them are the same clients with their default settings.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.conftest import HERE
from tests.support.balancer import Balancer, haproxy
from tests.support.gateway import RunningGateway, end_all
from tests.support.npm import install
from tests.support.recipes import modules
from tests.support.redis import RedisServer
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from userline.gateway.graphiql import build

pytestmark = pytest.mark.alone

RUNS = int(os.environ.get("USERLINE_TEST_COMEBACKS", "1"))
CLIENTS = HERE.parent / "clients"
DRAIN_SECONDS = 2
TOKEN_SECONDS = 10
UNNOTICED_SECONDS = 2.5
"""How long the balancer may take to see that a gateway is there, or is not."""

RECIPES = {"graphql-ws.js", "apollo.js", "urql.js"}

WATCH = "subscription ($id: ID!) { userChanged(id: $id) { name } }"

AS_GRAPHQL_WS = f"""
export const watch = (id, told) => client.subscribe({{ query: {json.dumps(WATCH)}, variables: {{ id }} }}, told);
"""
AS_APOLLO = f"""
import {{ gql }} from '@apollo/client';
export const watch = (id, told) =>
  client.subscribe({{ query: gql({json.dumps(WATCH)}), variables: {{ id }}, fetchPolicy: 'no-cache' }}).subscribe(told);
"""
AS_URQL = f"""
export const watch = (id, told) =>
  client.subscription({json.dumps(WATCH)}, {{ id }}).subscribe((result) =>
    result.error ? told.error(result.error) : told.next(result),
  );
"""
DEFAULT_SOCKETS = """
import { createClient } from 'graphql-ws';
import { gatewayUrl, getToken } from './yours.js';
const connectionParams = async () => ({ token: await getToken() });
const sockets = createClient({ url: gatewayUrl.replace('recipes', NAME), connectionParams });
"""
DEFAULT_APOLLO = """
import { ApolloClient, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
const client = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(sockets) });
"""
DEFAULT_URQL = """
import { Client, subscriptionExchange } from '@urql/core';
const client = new Client({
  url: gatewayUrl,
  exchanges: [
    subscriptionExchange({
      forwardSubscription: ({ query, variables }) => ({
        subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
      }),
    }),
  ],
});
"""
MODULES = {
    "watch-graphql-ws.js": "import { client } from './graphql-ws.js';" + AS_GRAPHQL_WS,
    "watch-apollo.js": "import { client } from './apollo.js';" + AS_APOLLO,
    "watch-urql.js": "import { client } from './urql.js';" + AS_URQL,
    "watch-default-graphql-ws.js": DEFAULT_SOCKETS + "const client = sockets;" + AS_GRAPHQL_WS,
    "watch-default-apollo.js": DEFAULT_SOCKETS + DEFAULT_APOLLO + AS_APOLLO,
    "watch-default-urql.js": DEFAULT_SOCKETS + DEFAULT_URQL + AS_URQL,
}


class Deployment:
    """Two gateways on one store and one Redis, behind HAProxy, and a place that gives tokens."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self.redis = RedisServer(directory)
        stack.callback(self.redis.kill)
        self.gateways = [self._start("0") for _ in range(2)]
        self.balancer = Balancer(directory, [gateway.url.removeprefix("http://") for gateway in self.gateways])
        stack.callback(self.balancer.stop)
        self.tokens = stack.enter_context(serving_tokens())

    def _start(self, port: str) -> RunningGateway:
        flags = ("--drain-seconds", str(DRAIN_SECONDS), "--bus-url", self.redis.url, "--port", port)
        return RunningGateway(
            self._directory, *flags, "--trusted-proxies", "127.0.0.1", env={"USERLINE_SECRET": SECRET}
        )

    def restart(self, number: int) -> None:
        gateway = self.gateways[number]
        gateway.http.close()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(DRAIN_SECONDS + 30) == 0
        self.gateways[number] = self._start(gateway.url.rpartition(":")[2])
        time.sleep(UNNOTICED_SECONDS)

    def set_name(self, name: str) -> None:
        headers = {"authorization": f"Bearer {token_of(None)}"}
        answer = httpx.put(f"{self.balancer.url}/v1/userline/users/alice", json={"name": name}, headers=headers)
        assert answer.status_code == 200, answer.text

    def stop(self) -> None:
        end_all(self.gateways)


@contextmanager
def serving_tokens() -> Iterator[str]:
    """Serve tokens that last for a moment, to any page, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = token_of("viewer", exp=int(time.time()) + TOKEN_SECONDS).encode()
            self.send_response(200)
            self.send_header("access-control-allow-origin", "*")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def write_modules(directory: Path, deployment: Deployment) -> Path:
    directory.mkdir()
    yours = (
        f"export const gatewayUrl = '{deployment.balancer.websocket_url}?client=recipes';\n"
        f"export const getToken = async () => (await fetch('{deployment.tokens}')).text();\n"
        f"export const tokenSeconds = {TOKEN_SECONDS};\n"
    )
    for name, text in {**modules("PROTOCOL.md"), **MODULES, "yours.js": yours}.items():
        own_name = name.removeprefix("watch-").removesuffix(".js")
        (directory / name).write_text(text.replace("NAME", f"'{own_name}'"))
    return directory


class Page:
    """The page in which the clients are."""

    def __init__(self, node: build.Node, chromium: str, deployment: Deployment, directory: Path, log: Path) -> None:
        script, packages = HERE / "comeback.mjs", CLIENTS / "node_modules"
        self._log = log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(node.executable), str(script), deployment.balancer.url, chromium, str(directory), str(packages)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=node.environment() | {"TOKENS": deployment.tokens},
            )

    def shows(self, name: str) -> dict[str, Any]:
        """Return what each client has seen, when all show this name."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or "null")
        assert answer is not None, self._log.read_text()
        assert answer["missing"] == [], (answer, self._log.read_text())
        clients: dict[str, Any] = answer["clients"]
        return clients

    def close(self) -> None:
        try:
            self._process.communicate(timeout=20)  # the end of its input is the end of it
        finally:
            self._process.kill()


def test_there_is_a_recipe_for_each_client() -> None:
    assert set(modules("PROTOCOL.md")) == RECIPES


@pytest.mark.parametrize("run", range(RUNS))
def test_every_subscription_goes_on(node: build.Node, chromium: str, tmp_path: Path, run: int) -> None:
    haproxy()
    install(CLIENTS, node)
    with ExitStack() as stack:
        deployment = Deployment(tmp_path, stack)
        stack.callback(deployment.stop)
        deployment.set_name("before")
        directory = write_modules(tmp_path / "recipes", deployment)
        page = Page(node, chromium, deployment, directory, tmp_path / "page.log")
        stack.callback(page.close)
        clients = page.shows("before")
        for number in range(2):
            deployment.restart(number)
            deployment.set_name(f"after {number}")
            clients = page.shows(f"after {number}")
    assert {name: seen["ended"] for name, seen in clients.items()} == dict.fromkeys(clients)
    assert len(clients) == len(MODULES) + 1
    closes = {name: set(seen["closes"]) for name, seen in clients.items()}
    print(run, {name: seen["closes"] for name, seen in clients.items()})
    for name, codes in closes.items():
        # Who renews its token is closed by restarts alone.
        assert codes <= ({1012, 4410} if name.startswith("default") else {1012}), closes
