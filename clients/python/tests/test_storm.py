"""Five tabs that watch a thousand users each, and scroll, lose the network again and again: all of it comes back."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from clients.conformance.proxy import Proxy, proxy_to
from clients.python.tests.helpers import session_with
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from tests.support.waiting import until

from userline_client import Active

if TYPE_CHECKING:
    from collections.abc import Iterator

    from userline_client import Session, UserSubscription

pytestmark = pytest.mark.alone

RUNS = int(os.environ.get("USERLINE_TEST_STORMS", "1"))
TABS = 5
ROWS = 1000
USERS = 1200
DROPS = 3
SECONDS_BETWEEN = 3.0
SECONDS_UNTIL_FRESH = 3.0
SWAP_SECONDS = 0.5
CHANGED = range(0, USERS, 24)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway as it comes, with a secret and users."""
    running = RunningGateway(tmp_path_factory.mktemp("storm"), env={"USERLINE_SECRET": SECRET})
    write(running, range(USERS), "at first")
    yield running
    assert running.stop() == 0, running.log


def write(gateway: RunningGateway, numbers: range, name: str) -> None:
    """Set the names of users, from outside."""
    for start in range(0, len(numbers), 100):
        patches = {f"user-{number}": {"name": name} for number in numbers[start : start + 100]}
        answer = gateway.http.put(
            "/v1/userline/users", json=patches, headers={"Authorization": f"Bearer {token_of(None)}"}
        )
        assert answer.status_code == 200, answer.text


class Tab:
    """A list of users that scrolls: one row leaves and another one comes, twice a second."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: dict[int, UserSubscription] = {number: self._watch(number) for number in range(ROWS)}
        self._next = ROWS

    def _watch(self, number: int) -> UserSubscription:
        return self.session.user(f"user-{number}").subscribe()

    def swap(self) -> None:
        """Let a row leave, and another one come."""
        gone = next(iter(self.rows))
        self.rows.pop(gone).unsubscribe()
        number = self._next % USERS
        self._next += 1
        self.rows[number] = self._watch(number)

    def is_whole(self, name: str) -> bool:
        """Whether every row is up to date, and those of the changed users show this name."""
        watches = self.session._core._watches._by_key
        return all(
            isinstance(row.state, Active)
            and watches[f"user-{number}"].is_fresh
            and (number not in CHANGED or (row.latest_snapshot is not None and row.latest_snapshot.name == name))
            for number, row in self.rows.items()
        )


async def scroll(tabs: list[Tab]) -> None:
    """Let rows come and go, until cancelled."""
    while True:
        await asyncio.sleep(SWAP_SECONDS)
        for tab in tabs:
            tab.swap()


async def drop(gateway: RunningGateway, proxy: Proxy, tabs: list[Tab], name: str) -> float:
    """Cut every connection, change users meanwhile, and return how long it took until everything showed that."""
    proxy.is_open = False
    proxy.cut()
    await asyncio.to_thread(write, gateway, CHANGED, name)
    started = time.monotonic()
    proxy.is_open = True
    await until(lambda: all(tab.is_whole(name) for tab in tabs))
    return time.monotonic() - started


@pytest.mark.behaviour(28, 34, 35)
@pytest.mark.parametrize("run", range(RUNS))
async def test_five_tabs_come_back_whole(users: RunningGateway, caplog: pytest.LogCaptureFixture, run: int) -> None:
    caplog.set_level(logging.INFO, logger="userline_client")
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(proxy_to(int(users.url.rpartition(":")[2])))
        sessions = [await stack.enter_async_context(session_with(proxy.url, token=token_of("me"))) for _ in range(TABS)]
        tabs = [Tab(session) for session in sessions]
        scrolling = asyncio.create_task(scroll(tabs))
        await until(lambda: all(isinstance(row.state, Active) for tab in tabs for row in tab.rows.values()))
        took = []
        for number in range(DROPS):
            took.append(await drop(users, proxy, tabs, f"run {run}, drop {number}"))
            await asyncio.sleep(max(SECONDS_BETWEEN - took[-1], 0))
        assert not scrolling.done()
        scrolling.cancel()
    assert max(took) < SECONDS_UNTIL_FRESH, took
    assert proxy.accepted == TABS * (DROPS + 1)
    assert "4430" not in caplog.text
