"""One client that plays a script, and what is seen of it."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clients.conformance.chance.checks import Checks
from clients.conformance.chance.deeds import Deeds
from clients.conformance.chance.running import slot_of
from clients.conformance.chance.script import SLOTS, TIGHT_LIMITS
from clients.conformance.driver import ClientError
from clients.conformance.world import Failure, token_of

if TYPE_CHECKING:
    from clients.conformance.chance.script import Step
    from clients.conformance.handles import Session, Subscription
    from clients.conformance.world import World

TIMEOUT = 14.75
"""How many seconds requests have. All else happens at halves of seconds: nothing is a matter of who is first."""
_CODE = re.compile("[A-Z_]+")
_GRID = 0.5
_FREE = frozenset({"object", "message", "kind", "version"})
"""What clients say in words of their own, and which of the versions that look the same they have seen."""


def plain(value: Any) -> Any:
    """Return what clients are not free in."""
    match value:
        case dict():
            shown = {key: plain(each) for key, each in value.items() if key not in _FREE}
            return {key: each for key, each in shown.items() if not (key == "problems" and each == [])}
        case list():
            return [plain(each) for each in value]
    return value


@dataclass
class Watched:
    """A subscription that was asked for."""

    handle: Subscription
    users: tuple[str, ...]
    kind: str
    slot: int
    parent: Watched | None = None
    """In whose callback it is made, if it is."""
    iterator: str = ""
    compared: int = 0
    """How much of what it was shown was compared."""


class Player:
    """Does with a client what a script says, and notes what can be seen of it."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.cue = Deeds(world.gateway)
        self.sessions: list[Session | None] = [None] * SLOTS
        self.subscriptions: list[Watched] = []
        self.calls: dict[str, asyncio.Future[Any]] = {}
        self.since: dict[str, float] = {}
        """When calls were made whose time runs out."""
        self.passed = 0.0
        self._tokens = 0
        self._has_been_silent = False
        # Where not everything fits one socket, and where callbacks watch users in the same turn, clients are free in
        # which users they watch together.
        self._is_grouping_free = False
        self.checks = Checks(self)

    async def do(self, number: int, step: Step) -> None:
        """Do what a step says, and return when nothing more comes of it."""
        given = {name: value for name, value in step.items() if name != "do"}
        self._is_grouping_free |= step.get("limits") in TIGHT_LIMITS or any(
            command.get("callback") == "join" for command in step.get("commands", ())
        )
        own = getattr(self, f"_do_{step['do']}", None)
        if own is None:
            self.cue.do(step)
        else:
            await own(number, **given)
        if step["do"] == "silence":
            self._has_been_silent = True
            await self.pass_time(14)
        await self.world.settle()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in small pieces, so that the network is as fast as it is."""
        for _ in range(round(seconds / _GRID)):
            before = self.world.gateway.activity
            await self.world.advance_alone(_GRID)
            self.passed += _GRID
            for _ in range(3):  # what has come by now is taken
                await asyncio.sleep(0)
            if self.world.gateway.activity != before or self.world.gateway.is_at_work:
                await self.world.settle()

    # What steps say

    async def _do_open(self, number: int, session: int, owner: str | None, *, asks: bool) -> None:
        before = self.sessions[session]
        if before is not None:
            self._start(f"{number} close", self.world.command("close", session=before.name))
        options: dict[str, Any] = {"on_need_token": lambda _: self._token(owner)} if asks else {}
        self.sessions[session] = await self.world.open(
            f"{self.world.gateway.url}?session={session}",
            token=self._token(owner),
            timeout=TIMEOUT * 1000,
            **options,
        )

    async def _do_setToken(self, number: int, session: int, owner: str | None) -> None:  # noqa: N802 - the step's
        chosen = self._session(session)
        command = self.world.command("setToken", session=chosen.name, token=self._token(owner))
        self._start(f"{number} setToken", command)

    async def _do_advance(self, _: int, seconds: float) -> None:
        await self.pass_time(seconds)

    async def _do_sleep(self, _: int, seconds: float) -> None:
        await self.world.sleep(seconds)
        await self.pass_time(2)

    async def _do_block(self, _: int, seconds: float) -> None:
        await self.world.block(seconds)
        self.passed += seconds
        await self.pass_time(2)

    async def _do_turn(self, number: int, session: int, commands: list[Step]) -> None:
        made: list[tuple[str, dict[str, Any]]] = []
        for place, command in enumerate(commands):
            given = {name: value for name, value in command.items() if name != "do"}
            label = f"{number}.{place} {command['do']}"
            name = self._session(session).name
            match command["do"]:
                case "subscribe":
                    made += self._subscribing(label, session, **given)
                case "unsubscribe":
                    own = [each for each in self.subscriptions if self._is_made(each)]
                    if own:
                        chosen = own[given["pick"] % len(own)].handle.name
                        made.append((label, self.world.command("unsubscribe", subscription=chosen)))
                case "next":
                    idle = [each for each in self.subscriptions if each.iterator and self._is_idle(each.iterator)]
                    if idle:
                        chosen = idle[given["pick"] % len(idle)].iterator
                        made.append((f"{label} {chosen}", self.world.command("next", iterator=chosen)))
                case do:
                    made.append((label, self.world.command(do, session=name, **given)))
        for (label, _), answer in zip(made, self.world.together([each for _, each in made]), strict=True):
            self._note(label, answer)

    def _subscribing(self, label: str, slot: int, **given: Any) -> list[tuple[str, dict[str, Any]]]:
        world = self.world
        wanted: dict[str, Any] = {key: given[key] for key in ("user", "users", "online") if key in given}
        kind = "users" if "users" in given else "online" if "online" in given else "user"
        watched = Watched(world.new_subscription(), tuple(given.get("users") or [given["user"]]), kind, slot)
        callback = given.get("callback")
        session = self._session(slot).name
        leaving = {"do": "unsubscribe", "subscription": watched.handle.name}
        if callback == "leave":
            # In which order those to many are shown what comes in one turn, is free.
            others = [each for each in self.subscriptions if self._is_made(each) and "users" not in (kind, each.kind)]
            others = others or [watched]
            other = others[given["pick"] % len(others)].handle.name
            wanted["callback"] = [leaving, {"do": "unsubscribe", "subscription": other}]
        elif callback == "join":
            joined = Watched(world.new_subscription(), (given["joined"],), "user", slot, watched)
            self.subscriptions.append(joined)
            join = {"do": "subscribe", "session": session, "subscription": joined.handle.name, "user": given["joined"]}
            wanted["callback"] = [leaving, join]
        elif callback is not None:
            wanted["callback"] = callback
        self.subscriptions.append(watched)
        name = watched.handle.name
        commands = [
            (label, world.command("subscribe", session=session, subscription=name, **wanted)),
            (f"{label} {name} connected", world.command("connected", subscription=name)),
            (f"{label} {name} terminated", world.command("terminated", subscription=name)),
        ]
        if given["iterate"]:
            watched.iterator = f"i{name}"
            iterate = world.command("iterate", subscription=name, iterator=watched.iterator)
            commands.append((f"{label} {name} iterate", iterate))
        return commands

    # What it knows

    def _session(self, slot: int) -> Session:
        session = self.sessions[slot]
        assert session is not None, "a script opens its sessions first"
        return session

    def _token(self, owner: str | None) -> str:
        self._tokens += 1
        return token_of(owner, number=self._tokens)

    def _is_idle(self, iterator: str) -> bool:
        return all(call.done() for label, call in self.calls.items() if label.endswith(f" {iterator}"))

    @staticmethod
    def _is_made(watched: Watched) -> bool:
        return watched.parent is None or bool(watched.parent.handle.shown)

    def _start(self, label: str, command: dict[str, Any]) -> None:
        self._note(label, self.world.together([command])[0])

    def _note(self, label: str, answer: asyncio.Future[Any]) -> None:
        self.calls[label] = answer
        if label.rpartition(" ")[2] in {"get", "getMany", "set", "createIfNotExists", "delete", "app"}:
            self.since[label] = self.passed

    # What is seen of it

    async def states(self) -> dict[str, Any]:
        """Return the state of each subscription."""
        made = [each for each in self.subscriptions if self._is_made(each)]
        commands = [self.world.command("state", subscription=each.handle.name) for each in made]
        driver = self.world._driver
        answers = driver.send(driver.command("together", commands=commands))[1:]
        states = await asyncio.gather(*answers, return_exceptions=True)
        return {
            each.handle.name: state if isinstance(state, dict) else "not made"
            for each, state in zip(made, states, strict=True)
        }

    async def look(self) -> dict[str, Any]:
        """Return what is to be the same for all clients, and see that it is in order."""
        states = await self.states()
        self.checks.look(states)
        seen: dict[str, Any] = {f"state of {name}": plain(state) for name, state in states.items()}
        for watched in self.subscriptions:
            shown = plain(watched.handle.shown[watched.compared :])
            # Of many, it is shown once for all that comes in one turn: how much that is, the network says.
            seen[f"shown to {watched.handle.name}"] = shown[-1:] if watched.kind == "users" else shown
        many = {each.handle.name for each in self.subscriptions if each.kind == "users"}
        for label, call in self.calls.items():
            what = outcome(call)
            is_of_many = many & set(label.replace(" i", " ").split())
            seen[f"answer to {label}"] = "there" if is_of_many and "ok" in what else what
        seen["asked"] = self.cue.asked(is_grouping_free=self._is_grouping_free)
        sockets = self.cue.sockets()
        for slot, session in enumerate(self.sessions):
            tokens = sorted(str(each.token) for each in sockets if slot_of(each) == slot)
            seen[f"sockets of {slot}"] = sorted(set(tokens)) if self._is_grouping_free else tokens
            if session is not None:
                seen[f"errors of {slot}"] = plain(session.errors)
                seen[f"tokens asked by {slot}"] = session.asks
        if self._has_been_silent:  # when that was noticed, is free, and so is whether there was a connection then
            seen = json.loads(json.dumps(seen).replace('"DISCONNECTED"', '"CONNECTION_TIMEOUT"'))
        return seen

    def agreed(self) -> None:
        """Note that all that was seen was the same for all."""
        self.cue.forget()
        for watched in self.subscriptions:
            watched.compared = len(watched.handle.shown)
        for label in [label for label, call in self.calls.items() if call.done()]:
            self.since.pop(label, None)
            last = outcome(self.calls.pop(label))
            for watched in self.subscriptions:
                if label.endswith(f"next {watched.iterator}") and ("error" in last or last["ok"]["done"]):
                    watched.iterator = ""  # what it says if it is asked once more, is of the language

    # The end

    async def end(self) -> None:
        """Let the gateway be well, and see that all is well."""
        self.cue.recover()
        await self.world.settle()
        await self.pass_time(12)  # all pauses are over by then
        self.cue.recover()
        await self.world.settle()
        await self.checks.see_that_all_is_well()
        await self.world.settle()
        users = dict(self.cue.gateway.users)
        asked = {f"last {slot} {user_id} get": (slot, user_id) for slot in range(SLOTS) for user_id in users}
        for label, (slot, user_id) in asked.items():
            self._start(label, self.world.command("get", session=self._session(slot).name, user=user_id))
        await self.world.settle()
        end = self.passed + TIMEOUT
        while self.passed < end and not all(call.done() for label, call in self.calls.items() if label in asked):
            await self.pass_time(_GRID)
        for label, (_, user_id) in asked.items():
            self.checks.see_what_was_got(label, user_id, outcome(self.calls[label]), users[user_id])


def outcome(call: asyncio.Future[Any]) -> Any:
    """Return what has become of a call."""
    if not call.done():
        return "under way"
    error = call.exception()
    if error is None:
        return {"ok": plain(call.result())}
    if isinstance(error, ClientError):
        return {"error": plain(error.told) if _CODE.fullmatch(error.code) else "not the client's"}
    raise Failure(f"The driver does not answer: {error!r}")
