"""No request makes a line of the log longer than some KB, whatever it says and whichever door it takes."""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest
from tests.clients.wire import TRANSPORT
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES: Final = 8192
REQUESTS: Final = 2000 if os.environ.get("USERLINE_TEST_LONG") == "1" else 150
APP: Final = {"authorization": f"Bearer {token_of(None)}"}
ALPHABETS: Final = ("x", "é", "😀", "\\", '"', "\x7f", "Q_9", "%", "/", "\u2028")


@pytest.fixture(scope="module", params=["json", "text"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(
        tmp_path_factory.mktemp("log"),
        *("--log-format", request.param, "--log-level", "debug", "--bad-tokens-per-second", "0"),
        *("--rate-limit-per-second", "0", "--max-batch-operations", "500"),
        env={"USERLINE_SECRET": SECRET},
    )
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log


class Requests:
    """Requests with something long in them, by chance."""

    def __init__(self, gateway: RunningGateway, chance: random.Random) -> None:
        self.gateway = gateway
        self.chance = chance

    def long(self, most: int = 14_900) -> str:
        return self.chance.choice(ALPHABETS) * self.chance.choice([1, 300, most // 3, most])

    def name(self) -> str:
        return "N" + "ame_9" * self.chance.choice([1, 30, 2_900])

    def operation(self) -> dict[str, Any]:
        name = self.name()
        query = self.chance.choice(["{ app { id } }", "{ app { nope } }", "{", '{ user(id: "u") { id } }'])
        text = self.long()
        variables = {text[:2000]: text}
        choices: list[dict[str, Any]] = [{}, {"operationName": text}, {"variables": variables}, {"operationName": name}]
        more = self.chance.choice([*choices, {"extensions": {"x": text}}])
        return {"query": f"query {name} {query}", **more}

    def post(self) -> None:
        headers = {**APP, "x-request-id": self.chance.choice(["id", "i" * 64, "i" * 5000]), "user-agent": "a" * 5000}
        many = self.chance.choice([1, 1, 50, 500])
        body = self.operation() if many == 1 else [self.operation() for _ in range(many)]
        if many == 500:
            body = [{"query": f"query {self.name()[:900]} {{ app {{ id }} }}"} for _ in range(many)]
        for _ in range(2):  # the second time it may be answered in the fast lane
            self.gateway.http.post("/graphql", json=body, headers=headers)

    def get(self) -> None:
        path = self.chance.choice(["/", "/graphql", "/v1/userline/users/", "/healthz/", "/metrics/"])
        query = {self.chance.choice(["query", "x"]): self.long(4000)}
        self.gateway.http.get(self.gateway.url + path + quote(self.long(1000)), params=query, headers=APP)

    def rest(self) -> None:
        ids = [
            f"{number}{self.chance.choice(ALPHABETS)}" * 10 + "😀" * 200
            for number in range(self.chance.choice([1, 2, 100]))
        ]
        self.gateway.http.put("/v1/userline/users", json={one[:255]: {"name": "N"} for one in ids}, headers=APP)
        self.gateway.http.put("/v1/userline/users", json={self.long(): {self.long(): self.long()}}, headers=APP)

    def bad_token(self) -> None:
        bearer = {"authorization": f"Bearer {self.long(8000).encode('ascii', 'replace').decode()}"}
        self.gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=bearer)

    def socket(self) -> None:
        url = f"{self.gateway.websocket_url}{self.chance.choice(['', '?' + 'q' * 4000])}"
        with connect(url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None, additional_headers=APP) as opened:
            opened.send(json.dumps({"type": "connection_init", "payload": {"x": self.long()}}))
            for message in (
                {"type": "subscribe", "id": self.long(1000), "payload": self.operation()},
                {
                    "type": "subscribe",
                    "id": "w",
                    "payload": {"query": f'subscription {self.name()} {{ userChanged(id: "u") {{ id }} }}'},
                },
                {"type": self.long()},
            ):
                try:
                    opened.send(json.dumps(message))
                    opened.recv(5)
                except (WebSocketException, TimeoutError):
                    break

    def any(self) -> None:
        self.chance.choice([self.post, self.post, self.get, self.rest, self.bad_token, self.socket])()


def test_no_line_is_long(gateway: RunningGateway) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    requests = Requests(gateway, random.Random(seed))
    for _ in range(REQUESTS):
        requests.any()
    lines = gateway.log.encode().splitlines()
    assert len(lines) > REQUESTS
    longest = max(lines, key=len)
    assert len(longest) <= MOST_BYTES, longest[:300]
    metrics = gateway.http.get("/metrics").text
    assert max(map(len, metrics.splitlines())) < 300


def test_a_batch_is_one_line_of_bounded_length(gateway: RunningGateway) -> None:
    name = "Q" * 14_900
    batch = [{"query": f"query {name} {{ app {{ id }} }}"} for _ in range(50)]
    answer = gateway.http.post("/graphql", json=batch, headers={**APP, "x-request-id": "the-batch"})
    assert answer.json() == [{"data": {"app": {"id": "userline"}}}] * 50
    (line,) = [line for line in gateway.log.splitlines() if "the-batch" in line]
    assert len(line) < 1500
    assert f"{name[:64]}…" in line
    assert "and 40 more" in line


def test_every_id_of_a_large_write_is_in_the_audit(gateway: RunningGateway) -> None:
    ids = [f"audit {number} {'😀' * 245}" for number in range(100)]
    patches = {one: {"name": "N"} for one in ids}
    answer = gateway.http.put("/v1/userline/users", json=patches, headers={**APP, "x-request-id": "the-audit"})
    assert answer.status_code == 200, answer.text[:300]
    lines = [line for line in gateway.log.splitlines() if "token: write of" in line and "the-audit" in line]
    assert all(len(line) <= MOST_BYTES for line in lines)
    text = "".join(lines)
    assert all(f"audit {number} " in text for number in range(100))


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_exceptions_and_values_are_cut(log_format: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import logging  # noqa: PLC0415

    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging(log_format, "info")
        logger = logging.getLogger("userline.test")
        try:
            raise ValueError("é" * 1_000_000)  # noqa: TRY301 - what is raised is the test
        except ValueError:
            logger.exception("It failed: %s", "x" * 1_000_000)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(level)
    written = capsys.readouterr().err
    assert len(written) < 120_000
    assert "characters left out" in written
    assert "ValueError" in written
