"""Bodies that are compressed: gzip is read, within the same limit; everything else is refused unread."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx
    from tests.support.gateway import RunningGateway

APP = json.dumps({"query": "{ app { id } }"}).encode()
JSON = {"content-type": "application/json"}
DOORS = [("POST", "/graphql", APP), ("PUT", "/v1/userline/users/gzip", b'{"name": "Compressed"}')]
MOST = 1_048_576


def send(gateway: RunningGateway, door: tuple[str, str, bytes], body: bytes, coding: str) -> httpx.Response:
    method, path, _ = door
    return gateway.http.request(method, path, content=body, headers=JSON | {"content-encoding": coding})


def peak_memory(gateway: RunningGateway) -> int:
    """The most memory that the gateway has had so far, in bytes."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_gzip_is_read(gateway: RunningGateway, door: tuple[str, str, bytes], coding: str) -> None:
    plain = gateway.http.request(door[0], door[1], content=door[2], headers=JSON)
    answer = send(gateway, door, gzip.compress(door[2]), coding)
    assert answer.status_code == plain.status_code == 200
    if door[1] == "/graphql":
        assert answer.content == plain.content


@pytest.mark.parametrize("coding", ["", "identity"])
def test_no_coding_is_none(gateway: RunningGateway, coding: str) -> None:
    assert send(gateway, DOORS[0], APP, coding).status_code == 200


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door[1])
@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "compress", "gzip, gzip", "gzip;q=1", "x"])
def test_another_coding_is_refused(gateway: RunningGateway, door: tuple[str, str, bytes], coding: str) -> None:
    answer = send(gateway, door, door[2], coding)
    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, identity"
    assert "gzip" in answer.text


BROKEN = {
    "no gzip": APP,
    "nothing": b"",
    "cut off": gzip.compress(APP)[:-1],
    "two members": gzip.compress(APP) + gzip.compress(APP),
    "something behind": gzip.compress(APP) + b"\0",
    "a wrong sum": gzip.compress(APP)[:-8] + b"\0" * 8,
    "zlib": zlib.compress(APP),
    "an empty member": gzip.compress(b""),
    "many empty members": gzip.compress(b"") * 40_000,
    "not JSON": gzip.compress(b"{"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_refused(gateway: RunningGateway, what: str) -> None:
    answer = send(gateway, DOORS[0], BROKEN[what], "gzip")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "body"}


def test_the_limit_holds_for_what_comes_out(gateway: RunningGateway) -> None:
    longest = APP + b" " * (MOST - len(APP))
    assert send(gateway, DOORS[0], gzip.compress(longest), "gzip").status_code == 200
    assert send(gateway, DOORS[0], gzip.compress(longest + b" "), "gzip").status_code == 413
    bomb = gzip.compress(b" " * 150 * MOST)
    assert len(bomb) < MOST // 2
    before = peak_memory(gateway)
    assert send(gateway, DOORS[0], bomb, "gzip").status_code == 413
    assert peak_memory(gateway) - before < 50 * MOST, "no more is decompressed than is allowed"
