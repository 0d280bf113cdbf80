"""What is measured, and against whom."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from bench import users
from bench.http_load import HTTPLoad, cycle_from
from bench.peers import BARE_UVICORN, STRAWBERRY
from bench.watch_load import WatchLoad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.sample import Load
    from bench.servers import Address

_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Scenario:
    """``probe`` is a request that gateway and peers must answer alike; ``flags`` are the gateway's."""

    name: str
    about: str
    unit: str
    peers: tuple[str, ...]
    probe: bytes
    load: Callable[[Address], Load]
    flags: tuple[str, ...] = ()


def _read(address: Address) -> Load:
    requests = [users.read(number) for number in range(users.USERS)]
    return HTTPLoad(
        address,
        _CONNECTIONS,
        lambda connection: cycle_from(requests, connection * users.USERS // _CONNECTIONS),
    )


def _read_100(address: Address) -> Load:
    requests = [users.read_many(first, 100) for first in range(0, users.USERS, 10)]
    return HTTPLoad(address, 8, lambda connection: cycle_from(requests, connection * len(requests) // 8))


def _write(address: Address) -> Load:
    def requests(connection: int) -> Iterator[bytes]:
        """Write users that no other connection writes."""
        own = range(connection, users.USERS, _CONNECTIONS)
        for number in count():
            yield users.write(own[number % len(own)], f"Name {number}")

    return HTTPLoad(address, _CONNECTIONS, requests)


def _fan_out(address: Address) -> Load:
    return WatchLoad(address, sockets=100, each=10)


_ALL: Final = (
    Scenario(
        "read",
        "user(id) with seven fields, 1,000 users in turn, 32 connections; the gateway holds them in memory",
        "request",
        (STRAWBERRY, BARE_UVICORN),
        users.read(0),
        _read,
    ),
    Scenario(
        "cold-read",
        "the same with --cache-seconds 0: every request needs the store",
        "request",
        (STRAWBERRY,),
        users.read(0),
        _read,
        ("--cache-seconds", "0"),
    ),
    Scenario(
        "users-100",
        "users(ids) with 100 ids and seven fields, 8 connections",
        "request",
        (STRAWBERRY,),
        users.read_many(0, 100),
        _read_100,
    ),
    Scenario(
        "write",
        "setUser with a new name, 32 connections, each its own users; answered when it is on disk",
        "request",
        (STRAWBERRY,),
        users.write(0, "New name"),
        _write,
    ),
    Scenario(
        "fan-out",
        "1,000 subscriptions of one user on 100 sockets, one change at a time; counts events delivered",
        "delivery",
        (STRAWBERRY,),
        users.write(0, "New name"),
        _fan_out,
    ),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
