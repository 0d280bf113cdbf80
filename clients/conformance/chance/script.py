"""Scripts that nobody wrote: what a client is told to do, and what its gateway does, in an order that a seed decides.

A script is a list of steps. A step says in ``do`` what happens, and has numbers where it means one of several things
that are there then: each is taken by its place, so that a step means something whatever has become of those before it.
"""

from __future__ import annotations

import random
from typing import Any, Final

from clients.conformance.ends import CODES

Step = dict[str, Any]

USERS: Final = ("a", "ü", "u\u0308", "😀", "__proto__", "constructor", "a\u2028b", "0")
"""Among them what is easily taken for another one, or for a name of the language."""
TEXTS: Final = ("", "Ann", "É\u0301", "👩\u200d👩\u200d👧", "\u2028\u2029", '"\\/\u0007', "0", "null")
SLOTS: Final = 2
"""How many sessions there are at a time."""
OWNERS: Final = ("ann", "bob", None)

TEMPORARY: Final = ("STORE_UNAVAILABLE", "RATE_LIMITED")
FINAL: Final = (*(code for code in CODES if code not in TEMPORARY), "OF_ANOTHER_VERSION")
PASSING_CLOSES: Final = ((1000, ""), (1001, ""), (1011, "oh"), (1012, "retry after 1.5 s"), (1013, ""), (4000, ""))
PASSING_CLOSES_2: Final = ((4408, ""), (4430, ""), (4431, "retry after 0.5 s"), (4500, ""), (4503, ""))
FATAL_CLOSES: Final = ((1008, ""), (1009, ""), (4400, "no"), (4401, ""), (4406, ""), (4409, ""), (4429, ""))
TOKEN_CLOSES: Final = ((4403, "Forbidden: it is revoked"), (4410, "it is over"))
DOORS: Final = ("closed", 503, 429, (4503, "retry after 1.5 s"), (4430, ""), (1013, ""), (1012, ""), "silent", 403)
ODDITIES: Final = 8
"""How many kinds of malformed results there are (``cue.py`` has them)."""
LIMITS: Final = (
    {"messageBytes": 1_048_576, "subscriptions": 1000, "watchedUsers": 5000},
    {"messageBytes": 4096, "subscriptions": 1000, "watchedUsers": 5000, "ofAnotherVersion": 1},
    None,
)
TIGHT_LIMITS: Final = (
    {"messageBytes": 4096, "subscriptions": 8, "watchedUsers": 2},
    {"messageBytes": 4096, "subscriptions": 9, "watchedUsers": 3},
    {"messageBytes": 4096, "subscriptions": 8, "watchedUsers": 4},
)
"""There is always room for all subscriptions: which of them go to another socket otherwise, is free."""
COMMANDS: Final = {
    "subscribe": (30, 20),
    "unsubscribe": (18, 5),
    "get": (18, 15),
    "getMany": (3, 1),
    "set": (14, 30),
    "createIfNotExists": (5, 6),
    "delete": (7, 18),
    "app": (3, 0),
    "next": (5, 4),
    "close": (1, 1),
}
"""What a client is told to do, and how often in proportion: of one that reads, and of one that writes."""
SECONDS: Final = (0.5, 0.5, 0.5, 1.0, 2.0, 5.0, 9.0, 15.0, 31.0)


class _Writer:
    """Writes one script. The seed decides of its character, too: how many users, how held back, how rough."""

    def __init__(self, seed: int) -> None:
        self._chosen = chosen = random.Random(seed)
        self._is_writing = writing = chosen.random() < 0.5
        self._limits = chosen.choice((LIMITS, LIMITS, LIMITS, TIGHT_LIMITS))
        most = 4 if self._limits is TIGHT_LIMITS else len(USERS)
        self._users = chosen.sample(USERS, chosen.choice((1, 1, 2) if writing else (1, 2, 3, most)))
        self._holding = chosen.choice((0.5, 0.9, 1.0) if writing else (0.0, 0.3, 0.9))
        self._steps: list[Step] = []
        self._length = chosen.choice((30, 60) if writing else (15, 25, 40))
        rough = chosen.choice((0, 1, 1, 3))
        self._kinds: list[tuple[Any, int]] = [
            (self._turn, 34),
            (self._answer, 30 if writing else 20),
            (self._tell, 30 if writing else 20),
            (self._pass_time, 3 if writing else 12),
            (self._hold, 3),
            (self._refuse, 3 * rough),
            (self._burst, 3),
            (self._misbehave, 2 * rough),
            (self._weather, 2 * rough),
            (self._open, 1),
            (self._token, rough),
        ]

    def write(self) -> list[Step]:
        """Write it."""
        self._steps.append({"do": "limits", "limits": self._chosen.choice(self._limits)})
        for slot in range(SLOTS):
            self._open(slot)
        self._steps.append({"do": "hold", "on": self._chosen.random() < self._holding})
        kinds, weights = zip(*self._kinds, strict=True)
        while len(self._steps) < self._length:
            self._chosen.choices(kinds, weights)[0]()
        return self._steps

    def _add(self, do: str, **given: Any) -> None:
        self._steps.append({"do": do, **given})

    def _pick(self) -> int:
        return self._chosen.randrange(1000)

    def _user(self) -> str:
        return self._chosen.choice(self._users)

    def _several(self) -> list[str]:
        return self._chosen.choices(self._users, k=self._chosen.randint(1, 4))

    # What the client is told to do

    def _open(self, slot: int | None = None) -> None:
        self._add(
            "open",
            session=self._chosen.randrange(SLOTS) if slot is None else slot,
            owner=self._chosen.choice(OWNERS),
            asks=self._chosen.random() < 0.5,
        )

    def _turn(self) -> None:
        """What is done in one turn. (What is a coroutine in Python begins a turn later there: that comes first.)"""
        slot = self._chosen.randrange(SLOTS)
        commands = [self._command() for _ in range(self._chosen.choice((1, 1, 1, 2, 3)))]
        commands.sort(key=lambda command: command["do"] in {"subscribe", "unsubscribe"})
        if self._limits is TIGHT_LIMITS or any(command["do"] in {"getMany", "close"} for command in commands):
            del commands[1:]
        self._add("turn", session=slot, commands=commands)

    def _command(self) -> Step:
        chosen = self._chosen
        do = chosen.choices([*COMMANDS], [weights[self._is_writing] for weights in COMMANDS.values()])[0]
        if do == "subscribe":
            return self._subscribe()
        given: Step = {"do": do}
        if do in {"unsubscribe", "next"}:
            given["pick"] = self._pick()
        if do == "getMany":
            given["users"] = self._several()
        if do in {"get", "set", "createIfNotExists", "delete"}:
            given["user"] = self._user()
        if do == "set":
            given["input"] = self._input()
        if do == "createIfNotExists":
            given["input"] = {"name": chosen.choice(TEXTS)}
        return given

    def _subscribe(self) -> Step:
        command: Step = {"do": "subscribe", "iterate": self._chosen.random() < 0.3}
        match self._chosen.choices(("user", "online", "users"), (6, 2, 2))[0]:
            case "user":
                command["user"] = self._user()
            case "online":
                command |= {"user": self._user(), "online": True}
            case _:
                command["users"] = self._several()
        if callback := self._chosen.choice((None,) * 6 + ("raise", "leave", "join")):
            command |= {"callback": callback, "pick": self._pick(), "joined": self._user()}
        return command

    def _input(self) -> dict[str, Any]:
        chosen = self._chosen
        given: dict[str, Any] = {"name": chosen.choice(TEXTS)} if chosen.random() < 0.7 else {}
        for field, values in (
            ("photoUrl", (None, "https://example.com/ü.png")),
            ("locale", (None, "de", "pt-BR")),
            ("welcomeMessage", (None, *TEXTS)),
            ("custom", ({}, {"k": None}, {"k": "v", "__proto__": "w"}, {"toString": "", "ü": "\u2028"})),
        ):
            if chosen.random() < 0.25:
                given[field] = chosen.choice(values)
        return given

    def _token(self) -> None:
        if self._chosen.random() < 0.5:
            self._add("setToken", session=self._chosen.randrange(SLOTS), owner=self._chosen.choice(OWNERS))
        else:
            code, reason = self._chosen.choice(TOKEN_CLOSES)
            self._add("revoke", session=self._chosen.randrange(SLOTS), code=code, reason=reason)

    # What the gateway does

    def _hold(self) -> None:
        self._add("hold", on=self._chosen.random() < self._holding)

    def _answer(self) -> None:
        if self._is_writing and self._chosen.random() < 0.3:
            self._add("perform", pick=self._pick(), told=self._chosen.random() < 0.7)
        else:
            self._add("answer", pick=self._pick(), part=self._chosen.random() < 0.3)

    def _tell(self) -> None:
        chosen = self._chosen
        weights = (10, 4, 14, 1, 1) if self._is_writing else (10, 4, 5, 1, 2)
        match chosen.choices(("write", "remove", "retell", "stray", "online"), weights)[0]:
            case "write":
                self._add("write", user=self._user(), fields=self._input(), told=chosen.random() < 0.85)
            case "remove":
                self._add("remove", user=self._user(), told=chosen.random() < 0.85)
            case "retell":
                what = chosen.choice(("now", "old", "nothing", "same", "double"))
                self._add("retell", pick=self._pick(), place=self._pick(), what=what)
            case "stray":
                self._add("stray", pick=self._pick(), user=self._user())
            case _:
                self._add("online", user=self._user(), on=chosen.random() < 0.5)

    def _burst(self) -> None:
        """Let several things come so soon one after the other that the client may find them together."""
        before = len(self._steps)
        for _ in range(self._chosen.randint(2, 4)):
            self._chosen.choice((self._answer, self._tell))()
        self._steps[before:] = [{"do": "burst", "steps": self._steps[before:]}]

    def _refuse(self) -> None:
        chosen = self._chosen
        code = chosen.choice((None, *TEMPORARY * 3, *FINAL))
        seconds = chosen.choice((None, 5, 10))
        if code is not None and chosen.random() < 0.3:
            self._add("refuseOne", pick=self._pick(), place=self._pick(), code=code, retry=seconds)
        else:
            form = chosen.choice(("error", "next", "both"))
            self._add("refuse", pick=self._pick(), code=code, retry=seconds, form=form)

    def _misbehave(self) -> None:
        chosen = self._chosen
        match chosen.choices(("odd", "nonsense", "older", "limits"), (6, 1, 2, 4))[0]:
            case "odd":
                self._add("odd", pick=self._pick(), what=chosen.randrange(ODDITIES))
            case "nonsense":
                self._add("nonsense", pick=self._pick(), what=chosen.randrange(4))
            case "older":
                self._add("older", on=chosen.random() < 0.4)
            case _:
                self._add("limits", limits=chosen.choice(self._limits))

    def _weather(self) -> None:
        chosen = self._chosen
        match chosen.choices(("cut", "close", "fatal", "door", "silence", "sleep", "block"), (6, 8, 1, 5, 1, 2, 1))[0]:
            case "cut":
                self._add("cut", pick=self._pick())
            case "close":
                code, reason = chosen.choice(PASSING_CLOSES + PASSING_CLOSES_2)
                self._add("closeSocket", pick=self._pick(), code=code, reason=reason)
            case "fatal":
                code, reason = chosen.choice(FATAL_CLOSES)
                self._add("closeSocket", pick=self._pick(), code=code, reason=reason)
            case "door":
                self._add("door", door=chosen.choice(DOORS))
                self._add("cut", pick=self._pick())
                self._turn()
                self._pass_time()
                self._add("door", door="open")
            case "silence":
                self._add("silence", pick=self._pick())
            case "sleep":
                self._add("sleep", seconds=chosen.choice((-100, 3, 100)))
            case _:
                self._add("block", seconds=chosen.choice((2, 8, 20)))

    def _pass_time(self) -> None:
        self._add("advance", seconds=self._chosen.choice(SECONDS))


def script(seed: int) -> list[Step]:
    """Return the script of a seed."""
    return _Writer(seed).write()
