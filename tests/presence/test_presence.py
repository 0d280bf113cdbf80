"""Who is connected, as one gateway knows it: by a clock of the test's own, without a bus."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from userline.changes.bus import Bus
from userline.changes.channels import BusMessageError
from userline.presence.presence import Presence
from userline.presence.reports import MOST_USERS_A_REPORT, PresenceReport, decode_report

SECONDS = 10.0


class Told:
    """A watcher that remembers each change."""

    def __init__(self) -> None:
        self.states: list[bool] = []

    def tell(self, *, is_connected: bool) -> None:
        if self.states[-1:] != [is_connected]:
            self.states.append(is_connected)


class Scene:
    """A gateway's presence, a clock, and what another gateway says."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seen: set[str] = set()
        self.presence = Presence(
            Bus("redis://127.0.0.1:1"), seconds=SECONDS, users_seen=self._users_seen, clock=lambda: self.now
        )
        self.told = Told()
        self.presence.watch("ann", self.told)

    def _users_seen(self) -> set[str]:
        seen, self.seen = self.seen, set()
        return seen

    def wait(self, seconds: float) -> None:
        """Let time pass, with a tick every second."""
        for _ in range(int(seconds)):
            self.now += 1
            self.presence.tick()

    def say(self, gateway: str, *, here: tuple[str, ...] = (), gone: tuple[str, ...] = (), asks: bool = False) -> None:
        self.presence.hear(asdict(PresenceReport(gateway, list(here), list(gone), asks)))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_a_user_is_connected_while_an_operation_is_under_way_and_some_seconds_longer(scene: Scene) -> None:
    scene.presence.enter("ann")
    scene.presence.enter("ann")
    scene.wait(100)
    scene.presence.leave("ann")
    scene.wait(100)
    scene.presence.leave("ann")
    scene.wait(SECONDS - 1)
    assert scene.told.states == [False, True]
    scene.wait(1)
    assert scene.told.states == [False, True, False]
    assert scene.presence.users_here == 0


async def test_who_comes_back_in_time_was_never_away(scene: Scene) -> None:
    scene.presence.enter("ann")
    for _ in range(20):
        scene.presence.leave("ann")
        scene.wait(SECONDS - 1)
        scene.presence.enter("ann")
    assert scene.told.states == [False, True]
    assert scene.presence.users_here == 1


async def test_requests_count_for_some_seconds_each(scene: Scene) -> None:
    for _ in range(3):
        scene.seen = {"ann"}
        scene.wait(SECONDS - 1)
    assert scene.told.states == [False, True]
    scene.wait(3)
    assert scene.told.states == [False, True, False]


async def test_nobody_has_no_presence(scene: Scene) -> None:
    scene.presence.enter(None)
    scene.presence.leave(None)
    assert scene.presence.users_here == 0


async def test_a_gateway_that_falls_silent_is_forgotten_and_takes_nobody_of_another_with_it(scene: Scene) -> None:
    scene.say("one", here=("ann", "bob"))
    scene.say("two", here=("ann",))
    bob = Told()
    scene.presence.watch("bob", bob)
    for _ in range(5):
        scene.wait(3)
        scene.say("two", here=("ann",))
    assert bob.states == [True, False]
    assert scene.told.states == [False, True]
    scene.say("two", gone=("ann",))
    assert scene.told.states == [False, True, False]
    scene.say("two", gone=("ann",))
    assert not scene.presence.is_connected("ann")


async def test_what_waits_to_be_read_after_a_long_stall_counts(scene: Scene) -> None:
    scene.say("one", here=("ann",))
    scene.now += 3 * SECONDS
    scene.presence.tick()
    scene.say("one", here=("ann",))
    scene.wait(3)
    assert scene.told.states == [False, True]


async def test_arrivals_and_departures_are_told_at_once_and_who_is_here_three_times_a_period(scene: Scene) -> None:
    presence = scene.presence
    presence.enter("ann")
    assert (report := presence.next_report()).here == ["ann"]
    assert not report.asks
    presence.leave("ann")
    tellings = 0
    for _ in range(int(SECONDS) - 1):
        scene.wait(1)
        tellings += presence.next_report().here == ["ann"]
    assert tellings == 2
    scene.wait(1)
    assert presence.next_report().gone == ["ann"]


async def test_reports_are_bounded(scene: Scene) -> None:
    users = [f"user {number}" for number in range(2 * MOST_USERS_A_REPORT + 1)]
    for user_id in users:
        scene.presence.enter(user_id)
    reports = [scene.presence.next_report().here for _ in range(4)]
    assert [len(here) for here in reports] == [MOST_USERS_A_REPORT, MOST_USERS_A_REPORT, 1, 0]
    assert [user_id for here in reports for user_id in here] == users


async def test_a_gateway_that_asks_is_told_soon_and_not_once_for_each_that_asks(scene: Scene) -> None:
    presence = scene.presence
    presence.enter("ann")
    scene.wait(4)
    presence.next_report()
    for number in range(50):
        scene.say(f"gateway {number}", asks=True)
    scene.wait(1)
    assert presence.next_report().here == ["ann"]
    assert presence.next_report().here == []
    presence.ask()
    assert presence.next_report().asks
    assert not presence.next_report().asks


async def test_its_own_reports_are_not_taken_for_those_of_another(scene: Scene) -> None:
    scene.presence.enter("ann")
    scene.presence.hear(asdict(scene.presence.next_report()))
    scene.presence.leave("ann")
    scene.wait(SECONDS)
    assert scene.told.states == [False, True, False]


@pytest.mark.parametrize(
    "said",
    [
        "nonsense",
        None,
        5,
        [],
        {},
        {"gateway": 1, "here": [], "gone": [], "asks": False},
        {"gateway": "a", "here": [1], "gone": [], "asks": False},
        {"gateway": "a", "here": [], "gone": "x", "asks": False},
        {"gateway": "a", "here": [], "gone": [], "asks": 1},
    ],
)
def test_nonsense_is_told_apart(said: object) -> None:
    with pytest.raises(BusMessageError):
        decode_report(said)
