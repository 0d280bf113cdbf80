"""What steps let a gateway do: it tells what is and what was, refuses, talks nonsense, and goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clients.conformance.chance.cue import Cue
from clients.conformance.chance.running import slot_of
from clients.conformance.ends import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from clients.conformance.chance.running import Running
    from clients.conformance.chance.script import Step
    from clients.conformance.gateway import End

Message = dict[str, Any]
NONSENSE = ("no JSON", "[]", '{"id": "1"}', '{"type": 5}')
_MEMORY = 4
"""How far a gateway may be behind."""


class Deeds(Cue):
    """Does what steps say, each of which has a method of its name. It depends on nothing that clients are free in."""

    def do(self, step: Step) -> None:
        """Do what a step says."""
        given = {name: value for name, value in step.items() if name != "do"}
        getattr(self, f"_do_{step['do']}")(**given)

    def _do_hold(self, *, on: bool) -> None:
        self.is_holding = on

    def _do_older(self, *, on: bool) -> None:
        self.is_old = on

    def _do_limits(self, limits: Any) -> None:
        self.gateway.limits = limits

    def _do_door(self, door: Any) -> None:
        self.gateway.door = tuple(door) if isinstance(door, list) else door

    def _do_burst(self, steps: list[Step]) -> None:
        for step in steps:
            self.do(step)

    def _do_answer(self, pick: int, *, part: bool) -> None:
        for running in self._picked(pick, lambda each: each.untold):
            self._answer(running, max(len(running.untold) // 2, 1) if part else None)

    def _do_perform(self, pick: int, *, told: bool) -> None:
        for running in self._picked(pick, lambda each: each.is_write and each.result is None):
            self._change(lambda running=running: self._perform(running), told=told)  # type: ignore[misc]

    def _do_write(self, user: str, fields: Message, *, told: bool) -> None:
        if user in self.gateway.users or "name" in fields:
            self._change(lambda: self.gateway.set(user, **fields), told=told)

    def _do_remove(self, user: str, *, told: bool) -> None:
        self._change(lambda: self.gateway.delete(user), told=told)

    def _do_online(self, user: str, *, on: bool) -> None:
        self.gateway.set_online(user, is_connected=on)

    def _do_retell(self, pick: int, place: int, what: str) -> None:
        for running in self._picked(
            pick, lambda each: each.field == "usersChanged" and set(each.ids) - set(each.untold)
        ):
            told = [each for each in running.ids if each not in running.untold]
            user_id = told[place % len(told)]
            now = self.gateway.users.get(user_id)
            history = self.history.get(user_id, [now])
            old = history[-1 - place % min(len(history), _MEMORY)]
            if what == "same" and now is not None:
                now = {**now, "name": f"{now['name']}!"}
                self.note(now)
            states: list[Any] = [old, now] if what == "double" else [old] if what == "old" else [now]
            entries = [{"id": user_id, "user": None if what == "nothing" else state} for state in states]
            running.end.next(running.id, {"usersChanged": entries})

    def _do_stray(self, pick: int, user: str) -> None:
        for running in self._picked(pick, lambda each: each.field == "usersChanged"):
            if user not in running.ids:
                running.end.next(running.id, {"usersChanged": [self.gateway.entry(user)]})
            running.end.next("no operation", {"usersChanged": [self.gateway.entry(user)]})
            running.end.complete("no operation")

    def _do_refuse(self, pick: int, code: str | None, retry: float | None, form: str) -> None:
        for running in self._picked(pick):
            if code is None:
                self._end(running, lambda: None)
                continue
            error = _error(code, retry)
            if form == "error":
                running.end.tell({"id": running.id, "type": "error", "payload": [error]})
                self._end(running, None)
            else:
                data = {"data": None} if form == "next" else {}
                running.end.tell({"id": running.id, "type": "next", "payload": {**data, "errors": [error]}})
                self._end(running, lambda: None)

    def _do_refuseOne(self, pick: int, place: int, code: str, retry: float | None) -> None:  # noqa: N802 - the step's
        for running in self._picked(pick, lambda each: each.field == "usersChanged"):
            user_id = running.ids[place % len(running.ids)]
            others = [each for each in running.ids if each != user_id and each not in running.untold][:1]
            entries = [*map(self.gateway.entry, others), {"id": user_id, "user": None}]
            error = {**_error(code, retry), "path": ["usersChanged", len(others), "user"]}
            self._tell_of(running, [user_id])
            running.end.next(running.id, {"usersChanged": entries}, [error])

    def _do_odd(self, pick: int, what: int) -> None:
        for running in self._picked(pick):
            user_id = running.ids[0] if running.ids else ""
            versioned = {"id": user_id, "user": {"id": user_id, "version": "1.5"}}
            values: list[Any] = [
                None,
                "x",
                [None],
                [{"id": user_id}],
                {"user": {}},
                [versioned],
                {"deleted": 1, "isConnected": 1},
            ]
            data = {"data": {} if what == len(values) else {running.field: values[what]}}
            running.end.tell({"id": running.id, "type": "next", "payload": data if what else None})
            if running.field not in {"usersChanged", "userOnlineChanged"}:
                self._end(running, lambda: None)

    def _do_nonsense(self, pick: int, what: int) -> None:
        for end in self.sockets()[pick % 3 :][:1]:
            end.tell(NONSENSE[what])

    def _do_cut(self, pick: int) -> None:
        for end in self._picked_sockets(pick):
            end.cut()

    def _do_closeSocket(self, pick: int, code: int, reason: str) -> None:  # noqa: N802 - the step's
        for end in self._picked_sockets(pick):
            end.end(code, reason)

    def _do_silence(self, pick: int) -> None:
        for end in self._picked_sockets(pick):
            end.swallow()

    def _do_revoke(self, session: int, code: int, reason: str) -> None:
        for end in [each for each in self.sockets() if slot_of(each) == session]:
            self.refused[end.token] = (code, reason)
            end.end(code, reason)

    # Of whom

    def _picked(self, pick: int, among: Callable[[Running], object] = lambda _: True) -> list[Running]:
        found = [each for each in self.running() if among(each)]
        return [found[pick % len(found)]] if found else []

    def _picked_sockets(self, pick: int) -> list[End]:
        """Return all sockets, or those of one session: how many it has, it is free in where not everything fits one."""
        sockets = self.sockets()
        slots = sorted(set(map(slot_of, sockets)))
        place = pick % (len(slots) + 1)
        return sockets if place == len(slots) else [each for each in sockets if slot_of(each) == slots[place]]


def _error(code: str, retry: float | None) -> Message:
    more: dict[str, Any] = {} if retry is None else {"retryAfterSeconds": retry}
    if code in {"BAD_USER_INPUT", "NAME_REQUIRED"}:
        more |= {"field": "name", "problems": [{"field": "name", "message": "It is too long."}]}
    return refusal(code, **more)
