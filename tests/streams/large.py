"""Messages of up to 1 MiB, which is as large as they may be, on a socket whose client has said who it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.support.fuzz import frame

if TYPE_CHECKING:
    from random import Random

_MOST: Final = 1_048_576
_IDS: Final = 1000
_WATCH_MANY: Final = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { name version custom } } }"
_READ_MANY: Final = "query($ids: [ID!]!) { users(ids: $ids) { id name version custom } }"
_SET: Final = 'mutation($c: Custom) { setUser(id: "large", input: {name: "L", custom: $c}) { changed } }'
_APP: Final = '"query":"{app{id}}","variables":'


class _Texts(NamedTuple):
    """What is put around a part that comes again and again, as often as fits."""

    before: str
    part: str
    after: str

    def message(self) -> str:
        return self.before + self.part * ((_MOST - len(self.before) - len(self.after)) // len(self.part)) + self.after


def _operation(before: str, part: str, after: str) -> _Texts:
    return _Texts('{"type":"subscribe","id":"1","payload":{' + before, part, after + "}}")


_TEXTS: Final[dict[str, _Texts]] = {
    "a query of spaces": _operation('"query":"{app{id}', " ", '}"'),
    "a query of fields": _operation('"query":"{', "app{id} ", '}"'),
    "a query of letters": _operation('"query":"', "a", '"'),
    "escapes": _operation(_APP + '{"a":"', "\\n", '"}'),
    "escapes of letters": _operation(_APP + '{"a":"', "\\u00e9", '"}'),
    "surrogates": _operation(_APP + '{"a":"', "\\ud83d\\ude00", '"}'),
    "half surrogates": _operation(_APP + '{"a":"', "\\ud83d", '"}'),
    "a name of letters": _operation('"query":"{app{id}}","operationName":"', "a", '"'),
    "empty lists": _operation(_APP + '{"a":[', "[],", "0]}"),
    "empty objects": _operation(_APP + '{"a":[', "{},", "0]}"),
    "objects with a key": _operation(_APP + '{"a":[', '{"b":1},', "0]}"),
    "nulls": _operation(_APP + '{"a":[', "null,", "0]}"),
    "digits": _operation(_APP + '{"a":', "9", "}"),
    "small numbers": _operation(_APP + '{"a":[', "1,", "0]}"),
    "short strings": _operation(_APP + '{"a":[', '"ab",', "0]}"),
    "fractions": _operation(_APP + '{"a":[', "1e-5,", "0]}"),
    "equal keys": _operation(_APP + "{", '"a":1,', '"b":0}'),
    "deep lists": _operation(_APP + '{"a":', "[", "}"),
    "deep objects": _operation(_APP + '{"a":', '{"a":', "}"),
    "extensions": _operation('"query":"{app{id}}","extensions":{"a":[', "{},", "0]}"),
    "more of the message": _Texts('{"type":"ping","more":[', "[],", "0]}"),
    "pings with a text": _Texts('{"type":"ping","payload":{"a":"', "a", '"}}'),
    "pings with lists": _Texts('{"type":"ping","payload":{"a":[', "[],", "0]}}"),
    "pongs with objects": _Texts('{"type":"pong","payload":{"a":[', "{},", "0]}}"),
    "an id of letters": _Texts('{"type":"complete","id":"', "a", '"}'),
    "a type of letters": _Texts('{"type":"', "a", '"}'),
    "another connection_init": _Texts('{"type":"connection_init","payload":{"a":"', "a", '"}}'),
    "spaces": _Texts('{"type":"ping"', " ", "}"),
    "nothing but lists": _Texts("[", "[],", "0]"),
    "no JSON": _Texts("", "[", ""),
}


def _subscribe(number: int, query: str, **variables: object) -> str:
    payload = {"query": query, "variables": variables}
    return json.dumps({"type": "subscribe", "id": str(number), "payload": payload}, ensure_ascii=False)


def _complete(number: int) -> str:
    return json.dumps({"type": "complete", "id": str(number)})


def _ids(chance: Random, letter: str) -> list[str]:
    """Return as many ids as one operation may have, each as long as it may be."""
    start = chance.randrange(10**6)
    return [f"{start + number:07d}".ljust(255, letter) for number in range(_IDS)]


def _many(chance: Random, query: str, *, ends: bool = True) -> str:
    """Return operations about as many long ids as fit, ended one by one or left there."""
    letters = chance.choice(("ab", "aé", "éé", "あ"))
    messages = []
    for number in range(1, 7):
        messages.append(_subscribe(number, query, ids=_ids(chance, chance.choice(letters))))
        if ends:
            messages.append(_complete(number))
    return "\n".join(messages)


def _custom(chance: Random) -> str:
    """Return writes of maps that are too large, by their number of keys or by their size."""
    keys = chance.choice((10, 100, 5000, 80_000))
    custom = {f"{key}": "x" * ((900_000 - keys * 10) // keys) for key in range(keys)}
    return _subscribe(1, _SET, c=custom) + "\n" + _complete(1)


def _bad_ids(chance: Random) -> str:
    """Return lists of ids with far too many of them, or bad ones."""
    kinds: tuple[list[object], ...] = (
        ["a"] * 200_000,
        ["x" * 256] * 1000,
        [""] * 200_000,
        [None] * 150_000,
        [[]] * 1000,
    )
    wrong = chance.choice(kinds)
    return _subscribe(1, chance.choice((_WATCH_MANY, _READ_MANY)), ids=wrong) + "\n" + _complete(1)


def _frames(text: str, chance: Random) -> bytes:
    """Return each line as a message, in one frame or in several."""
    made = []
    for line in text.split("\n"):
        data = line.encode()
        if chance.random() < 0.5 or len(data) < 100:
            made.append(frame(1, data))
        else:
            size = len(data) // chance.choice((2, 7, 60)) + 1
            parts = [data[at : at + size] for at in range(0, len(data), size)]
            made += [frame(0 if number else 1, part, fin=number == len(parts) - 1) for number, part in enumerate(parts)]
    return b"".join(made)


NAMES: Final = (*_TEXTS, "ids watched", "ids watched and left", "ids read", "maps", "bad ids", "all of these")


def large(name: str, chance: Random) -> bytes:
    """Return messages of a kind, in frames."""
    if name == "all of these":
        return b"".join(large(other, chance) for other in chance.sample(NAMES[:-1], 6))
    if name in _TEXTS:
        return _frames(_TEXTS[name].message(), chance)
    match name:
        case "ids watched":
            text = _many(chance, _WATCH_MANY)
        case "ids watched and left":
            text = _many(chance, _WATCH_MANY, ends=False)
        case "ids read":
            text = _many(chance, _READ_MANY)
        case "maps":
            text = _custom(chance)
        case _:
            text = _bad_ids(chance)
    return _frames(text, chance)
