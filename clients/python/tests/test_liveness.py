"""A dead peer, a sleeping machine and a program that stood still are told from each other, by the session's clock."""

from __future__ import annotations

import pytest
from clients.python.tests.clocks import ScriptedClock

from userline_client.clock import Expiry, Timers
from userline_client.liveness import Liveness


class Peer:
    """The other end of a socket, as a test wants it."""

    def __init__(self, clock: ScriptedClock, *, answers: bool) -> None:
        self.heard = 1
        self.pings: list[float] = []
        self.gone_at: float | None = None
        self._clock = clock
        self._answers = answers

    def ping(self) -> None:
        self.pings.append(self._clock.now())
        self.heard += self._answers

    def give_up(self) -> None:
        self.gone_at = self.gone_at or self._clock.now()


def look_after(peer: Peer, clock: ScriptedClock) -> tuple[Liveness, list[float]]:
    woken: list[float] = []
    liveness = Liveness(clock, lambda: woken.append(clock.now()))
    liveness.start()
    liveness.look_after(peer)
    return liveness, woken


@pytest.mark.behaviour(37)
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.999])
def test_a_dead_peer_is_found_within_15_seconds(phase: float) -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=False)
    liveness, woken = look_after(peer, clock)
    clock.pass_time(3 + phase)
    peer.heard += 10
    last = clock.now()
    clock.pass_time(30)
    assert 4 < peer.pings[0] - last <= 7
    assert peer.gone_at is not None
    assert 10 < peer.gone_at - last <= 15
    assert not woken
    liveness.stop()
    assert clock.timers == 0


@pytest.mark.behaviour(37)
def test_a_peer_that_answers_lives_on() -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=True)
    look_after(peer, clock)
    clock.pass_time(3600)
    assert peer.gone_at is None
    assert 3600 / 7 < len(peer.pings) < 3600 / 4, "no more pings than it takes"


@pytest.mark.behaviour(37)
@pytest.mark.parametrize("seconds", [2, 6, 20, 3600])
def test_a_program_that_stood_still_does_not_blame_its_peer(seconds: float) -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=True)
    look_after(peer, clock)
    for _ in range(5):
        clock.pass_time(2)
        clock.block(seconds)
        clock.pass_time(2)
    assert peer.gone_at is None
    assert len(peer.pings) >= 5 or seconds < 6, "it asks at once whether the peer is still there"


@pytest.mark.behaviour(37)
def test_a_peer_that_is_gone_after_the_program_stood_still_is_found_sooner() -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=False)
    look_after(peer, clock)
    clock.pass_time(2)
    peer.heard += 1
    clock.block(60)
    clock.pass_time(5)
    assert peer.gone_at is not None


@pytest.mark.behaviour(37)
def test_a_page_that_is_called_once_a_minute_finds_its_peer_gone_too() -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=False)
    look_after(peer, clock)
    for _ in range(6):
        clock.block(60)
        clock.pass_time(0)
    assert peer.gone_at is not None


@pytest.mark.behaviour(38)
@pytest.mark.parametrize(("seconds", "is_sleep"), [(0.5, False), (4.5, False), (6, True), (8 * 3600, True)])
def test_a_sleep_of_the_machine_is_found_at_once(seconds: float, *, is_sleep: bool) -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=True)
    _, woken = look_after(peer, clock)
    clock.pass_time(10)
    clock.sleep(seconds)
    clock.pass_time(1)
    assert (len(woken), peer.gone_at is not None) == (is_sleep, is_sleep)
    clock.pass_time(60)
    assert len(woken) == is_sleep


@pytest.mark.behaviour(38)
def test_a_clock_that_is_set_back_does_nothing() -> None:
    clock = ScriptedClock()
    peer = Peer(clock, answers=True)
    _, woken = look_after(peer, clock)
    clock.pass_time(10)
    clock.sleep(-3600)
    clock.pass_time(60)
    assert not woken
    assert peer.gone_at is None


@pytest.mark.behaviour(5)
def test_an_expiry_has_one_timer_for_all() -> None:
    clock = ScriptedClock()
    gone: list[str] = []
    expiry = Expiry[str](clock, 10, gone.append)
    for each in "abc":
        expiry.add(each)
        clock.pass_time(1)
    assert clock.timers == 1
    expiry.add("a")
    expiry.discard("b")
    clock.pass_time(9.5)
    assert gone == ["c"]
    assert expiry.oldest() == "a"
    clock.pass_time(1)
    assert gone == ["c", "a"]
    assert (len(expiry), clock.timers) == (0, 0)
    expiry.add("d")
    expiry.stop()
    assert clock.timers == 0


def test_timers_can_be_stopped_together() -> None:
    clock = ScriptedClock()
    called: list[int] = []
    timers = Timers(clock)
    for seconds in (1, 2, 3):
        timers.call_later(seconds, lambda s=seconds: called.append(s))  # type: ignore[misc]
    clock.pass_time(1.5)
    timers.stop()
    clock.pass_time(10)
    assert called == [1]
