"""Messages that no sane client sends: sound ones, changed byte by byte or value by value, and frames made at random."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from random import Random

_SET: Final = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed user { name } } }"
_WATCH: Final = "subscription($id: ID!) { userChanged(id: $id) { id name custom } }"
_INPUT: Final = {
    "name": "Fuzz",
    "custom": {"a": "b", "c.d": None},
    "locale": "pt-BR",
    "photoUrl": "https://example.com/a.png",
    "email": ["fuzz@example.com"],
    "phone": "+14155552671",
    "pushTokens": {"fcm:x": True},
}
OPERATIONS: Final[list[dict[str, Any]]] = [
    {"query": "{ app { id roles { name settings } } }", "variables": None, "operationName": None, "extensions": {}},
    {"query": "query A($i: [ID!]!) { users(ids: $i) { id } }", "variables": {"i": ["a", "b"]}, "operationName": "A"},
    {"query": _SET, "variables": {"id": "fuzz", "input": _INPUT}},
    {"query": '{ user(id: "fuzz") { ...F } } fragment F on User { name custom @include(if: true) }'},
    {"query": "{ __schema { types { name fields { name } } } }"},
    {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
]
_MESSAGES: Final[list[dict[str, Any]]] = [
    {"type": "connection_init", "payload": {"token": "x"}},
    {"type": "ping", "payload": {"a": [1]}},
    {"type": "pong"},
    *({"type": "subscribe", "id": "1", "payload": operation} for operation in OPERATIONS),
    {"type": "subscribe", "id": "2", "payload": {"query": _WATCH, "variables": {"id": "fuzz"}}},
    {"type": "start", "id": "3", "payload": {"query": _WATCH, "variables": {"id": "fuzz"}}},
    {"type": "complete", "id": "2"},
    {"type": "connection_terminate"},
]
_ODD: Final[list[Any]] = [
    *(None, True, False, 0, -1, 2**63, 1e308, "", " ", "\0", "a" * 3000, "\ud83d", "😀" * 300, "__proto__", "{"),
    *([], {}, [[]], {"": {}}, [None] * 200, {"a": {"b": {"c": {"d": []}}}}, {f"k{n}": n for n in range(200)}),
    *("{ a", "{ app { id } }", "query($a: Int = {b: 1}) { app { id } }", "subscription { userChanged }", "\ufeff{}"),
]
_BYTES: Final = [b"\0", b"\r\n", b"\r\n\r\n", b"\xff\xfe", b"%", b"%00", b'"', b"\\", b"{", b"]", b":", b" ", b"\xc3"]


def changed_bytes(data: bytes, chance: Random) -> bytes:
    """Return data with a few bytes changed, lost, repeated or added."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 5, 20))):
        at = chance.randrange(len(made) + 1)
        end = min(len(made), at + chance.choice((1, 1, 2, 8, 64)))
        match chance.randrange(5):
            case 0:
                made[at:end] = chance.randbytes(end - at)
            case 1:
                del made[at:end]
            case 2:
                made[at:at] = made[at:end] * chance.choice((1, 3, 50))
            case 3:
                made[at:at] = chance.choice(_BYTES)
            case _:
                if at < len(made):
                    made[at] ^= 1 << chance.randrange(8)
    return bytes(made)


def changed_value(value: Any, chance: Random) -> Any:
    """Return a JSON value with a few of its parts replaced, lost or wrapped, whatever their types were."""
    made = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        made = _with_one_change(made, chance)
    return made


def _with_one_change(value: Any, chance: Random) -> Any:
    steps = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not steps or chance.random() < 0.15:
        return chance.choice((copy.deepcopy(chance.choice(_ODD)), [value], {"a": value}))
    step = chance.choice(steps)
    if chance.random() < 0.15:
        del value[step]
    elif isinstance(value, dict) and chance.random() < 0.15:
        value[str(chance.choice(_ODD))[:50]] = value.pop(step)
    else:
        value[step] = _with_one_change(value[step], chance)
    return value


def to_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def http_request(token: str, chance: Random) -> bytes:
    """Return a request over HTTP that is sound in parts."""
    operation: Any = chance.choice(OPERATIONS)
    if chance.random() < 0.2:
        operation = [operation, chance.choice(OPERATIONS)]
    method, target, body = chance.choice(
        (
            ("POST", "/graphql", operation),
            ("POST", "/graphql", operation),
            ("GET", "/graphql?query=%7Bapp%7Bid%7D%7D&variables=%7B%7D", None),
            ("PUT", "/v1/userline/users/fuzz", _INPUT),
            ("PUT", "/v1/userline/users", {"fuzz": _INPUT, "fuzz 2": {"name": "Two"}}),
            ("GET", "/v1/userline/users?limit=2&startingAfter=a", None),
            ("GET", "/v1/userline/users/a%2Fb", None),
            ("DELETE", "/v1/userline/users/a%2Fb", None),
            ("PATCH", "/v1/userline/users/a%2Fb", None),
        )
    )
    way = chance.randrange(3)
    content = to_json(changed_value(body, chance) if way == 0 else body) if body is not None else b""
    if way == 1:
        content = changed_bytes(content, chance)
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Accept: application/json\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    ).encode()
    return changed_bytes(head, chance) + content if way == 2 else head + content


def handshake(chance: Random) -> bytes:
    """Return the opening of a socket, changed."""
    sound = (
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nOrigin: http://localhost\r\n\r\n"
    )
    return changed_bytes(sound, chance)


def frame(opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """Return a WebSocket frame, whose mask changes nothing."""
    length = len(payload)
    head = bytes([opcode | rsv << 4 | (0x80 if fin else 0)])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65_536:
        head += bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + length.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if masked else b"") + payload


def socket_message(chance: Random) -> bytes:
    """Return what may come over an open socket: a message of the protocol, sound or changed, in a sound frame."""
    message = chance.choice(_MESSAGES[1:])
    match chance.randrange(4):
        case 0:
            return frame(1, to_json(message))
        case 1:
            return frame(1, to_json(message | {"payload": changed_value(message.get("payload"), chance)}))
        case 2:
            return frame(1, to_json(changed_value(message, chance)))
        case _:
            return frame(1, changed_bytes(to_json(message), chance))


def socket_frames(chance: Random) -> bytes:
    """Return frames of all kinds: changed, out of order, of any length and type, with text that is no UTF-8."""
    text = to_json(chance.choice(_MESSAGES))
    match chance.randrange(4):
        case 0:
            return changed_bytes(frame(1, text), chance)
        case 1:
            pieces = [frame(1, text[:5], fin=False), frame(0, text[5:9], fin=False), frame(0, text[9:])]
            chance.shuffle(pieces)
            return b"".join(pieces[: chance.randint(1, 3)])
        case 2:
            opcode, size = chance.randrange(16), chance.choice((0, 1, 2, 124, 125, 126, 3000, 65_537))
            fin, rsv, masked = chance.random() < 0.7, chance.choice((0, 0, 0, 1, 4)), chance.random() < 0.9
            return frame(opcode, chance.randbytes(size), fin=fin, rsv=rsv, masked=masked)
        case _:
            return frame(1, text[:-1] + chance.choice((b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80")))
