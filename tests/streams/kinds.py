"""What streams are made of: for each kind what comes first, and what comes again and again after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.streams import large
from tests.support.attacks import BODIES
from tests.support.fuzz import changed_bytes, frame, handshake, http_request, socket_frames, socket_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

_BLOCK: Final = 262_144
_HOST: Final = b"Host: localhost\r\n"
_JSON: Final = b"Content-Type: application/json\r\n"
_APP: Final = b'{"query":"{ app { id } }"}'
_WATCH: Final = 'subscription { userChanged(id: "ID") { name } }'


class Made(NamedTuple):
    """``first`` is written once, and then ``again`` without a pause."""

    first: bytes
    again: bytes = b""
    asks: bool = False
    """Whether ``first`` or one ``again`` is a whole request, so that there is an answer."""
    is_socket: bool = False
    """Whether ``first`` is a handshake, whose answer is waited for before the rest is written."""
    init: bytes = b""
    """What the client then says of itself; what comes back is waited for, too."""


def _block(unit: bytes) -> bytes:
    """Return a unit as often as makes a good write."""
    return unit * max(1, _BLOCK // len(unit))


def _head(line: bytes, *more: bytes, token: bytes) -> bytes:
    lines = [line, b"Host: localhost", *more, *([b"Authorization: Bearer " + token] if token else [])]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _post(body: bytes, *more: bytes, token: bytes, path: bytes = b"/graphql") -> bytes:
    length = b"Content-Length: %d" % len(body)
    line = b"POST %b HTTP/1.1" % path
    return _head(line, b"Content-Type: application/json", length, *more, token=token) + body


def _open(*more: bytes, token: bytes) -> bytes:
    """Return a head whose body is in chunks."""
    chunked = b"Transfer-Encoding: chunked"
    return _head(b"POST /graphql HTTP/1.1", b"Content-Type: application/json", chunked, *more, token=token)


_START: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n"

_HEADS: Final[dict[str, tuple[bytes, bytes]]] = {
    "a request line": (b"GET /", b"a"),
    "a query": (b"GET /?", b"a=%41&"),
    "a method": (b"", b"G"),
    "an address": (b"GET http://", b"a."),
    "a header's name": (_START, b"X-Name"),
    "a header's value": (_START + b"X-Long: ", b"value "),
    "a value of tabs": (_START + b"X-Long:", b"\t"),
    "small headers": (_START, b"a:\r\n"),
    "cookies": (_START, b"Cookie: " + b"a=b; " * 50 + b"\r\n"),
    "folded lines": (_START + b"X-Folded: a\r\n", b" b\r\n"),
    "connections": (_START + b"Connection: ", b"close,"),
    "lengths": (_START, b"Content-Length: 0\r\n"),
    "empty lines": (b"", b"\r\n"),
    "line feeds": (b"", b"\n"),
    "carriage returns": (b"", b"\r"),
    "nothing but NUL": (b"", b"\0"),
    "a name in a handshake": (b"GET /graphql HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-", b"K"),
    "a client hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x13\x37"),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0\0\0\4\0\0\0\0\0"),
}

_CHUNKS: Final[dict[str, tuple[bytes, bytes]]] = {
    "large chunks": (b"", b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "small chunks": (b"", b"1\r\nx\r\n"),
    "small chunks with extensions": (b"", b"1;a=b\r\nx\r\n"),
    "long extensions": (b"", b"1;a=" + b"b" * 900 + b"\r\nx\r\n"),
    "an extension without end": (b"1;", b"a=b;"),
    "a size without end": (b"", b"0"),
    "one chunk without end": (b"fffffffffff\r\n", b"x"),
    "a trailer without end": (b"0\r\nX-Trailer: ", b"value"),
    "trailers": (b"0\r\n", b"a: b\r\n"),
    "trailers without a colon": (b"0\r\n", b"a"),
    "chunks of lists": (b"9\r\n[" + b"[],[],[]", b",\r\n9\r\n[],[],[],"),
    "chunks that are none": (b"5\r\nhello\r\n", b"zz\r\n"),
}

_FIRST_MESSAGES: Final[list[Mapping[str, object]]] = [
    *({"type": "ping"}, {"type": "pong"}, {"type": "complete", "id": "1"}, {"type": "stop", "id": "1"}),
    *({"type": "ping", "payload": {"a": "b" * 3000}}, {"type": "pong", "payload": {"a": "b" * 3000}}),
    *({"type": "nonsense"}, {"type": "connection_init"}, {"type": "connection_terminate"}),
]
_MESSAGES: Final[list[Mapping[str, object]]] = [
    *_FIRST_MESSAGES,
    {"type": "subscribe", "id": "1", "payload": {"query": _WATCH}},
    {"type": "start", "id": "1", "payload": {"query": _WATCH}},
    {"type": "subscribe", "id": "1", "payload": {"query": "{ app { id } }"}},
    {"type": "start", "id": "1", "payload": {"query": "{ app { id } }"}},
    {"type": "subscribe", "id": "1", "payload": {"query": "{ nonsense }"}},
    {"type": "subscribe", "id": "1", "payload": {"query": "{"}},
]


def _text(message: object) -> bytes:
    return frame(1, json.dumps(message).encode())


_FRAMES: Final[dict[str, bytes]] = {
    "ping messages": _text({"type": "ping"}),
    "pong messages": _text({"type": "pong"}),
    "pings": frame(9, b""),
    "long pings": frame(9, b"a" * 125),
    "pongs": frame(10, b""),
    "empty texts": frame(1, b""),
    "empty bytes": frame(2, b""),
    "texts that are no JSON": frame(1, b"a"),
    "long texts that are no JSON": frame(1, b"[" * 60_000),
    "texts of empty lists": frame(1, b"[" + b"[]," * 20_000 + b"0]"),
    "pings with empty objects": frame(1, b'{"type":"ping","payload":{"a":[' + b"{}," * 20_000 + b"0]}}"),
    "texts that are no UTF-8": frame(1, b"\xff"),
    "continuations": frame(0, b""),
    "closes": frame(8, b"\x03\xe8"),
    "closes without a code": frame(8, b""),
    "closes that are too short": frame(8, b"\x03"),
    "closes with a wrong code": frame(8, b"\x03\xed"),
    "reserved bits": frame(1, b"{}", rsv=4),
    "reserved opcodes": frame(3, b""),
    "frames without a mask": frame(1, b"{}", masked=False),
    "control frames that are too long": frame(9, b"a" * 126),
    "control frames in fragments": frame(9, b"a", fin=False),
    "nothing but 0": b"\0",
    "nothing but 1": b"\xff",
}


def _upgrade(protocol: str) -> bytes:
    return (
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: " + protocol.encode() + b"\r\n\r\n"
    )


def _socket(again: bytes, before: bytes, chance: Random) -> Made:
    """Return a stream over a socket; ``before`` comes between the handshake and the rest."""
    protocol = chance.choice(("graphql-transport-ws", "graphql-transport-ws", "graphql-ws"))
    return Made(_upgrade(protocol) + before, _block(again), asks=True, is_socket=True)


def _init(token: bytes) -> bytes:
    return _text({"type": "connection_init", "payload": {"token": token.decode()}})


def _of_heads(name: str) -> Callable[[Random, bytes], Made]:
    first, unit = _HEADS[name]
    return lambda _, __: Made(first, _block(unit))


def _of_chunks(name: str) -> Callable[[Random, bytes], Made]:
    first, unit = _CHUNKS[name]
    return lambda _, token: Made(_open(token=token) + first, _block(unit))


def _of_frames(name: str, *, opened: bool) -> Callable[[Random, bytes], Made]:
    return lambda chance, token: _socket(_FRAMES[name], _init(token) if opened else b"", chance)


def _of_messages(chance: Random, token: bytes) -> Made:
    """A few kinds of messages, in turn, on a socket whose client has said who it is."""
    messages = [_text({**chance.choice(_MESSAGES), **_id(chance)}) for _ in range(chance.choice((1, 1, 3, 50)))]
    return _socket(b"".join(messages), _init(token), chance)


def _of_first_messages(chance: Random, _: bytes) -> Made:
    """The same where it has not."""
    messages = [_text(chance.choice(_FIRST_MESSAGES)) for _ in range(chance.choice((1, 1, 3)))]
    return _socket(b"".join(messages), b"", chance)


def _id(chance: Random) -> dict[str, str]:
    return {"id": str(chance.randrange(1, 2000))} if chance.random() < 0.5 else {}


def _of_large_messages(name: str) -> Callable[[Random, bytes], Made]:
    """Messages as large as they may be once the gateway has acknowledged who it is."""
    return lambda chance, token: Made(
        _upgrade("graphql-transport-ws"), large.large(name, chance), asks=True, is_socket=True, init=_init(token)
    )


def _many_ids(_: Random, token: bytes) -> Made:
    subscriptions = [
        _text({"type": kind, "id": f"{kind} {n}", "payload": {"query": _WATCH.replace("ID", str(n))}})
        for n in range(1500)
        for kind in ("subscribe",)
    ]
    return Made(_upgrade("graphql-transport-ws") + _init(token), b"".join(subscriptions), asks=True, is_socket=True)


def _fragments(chance: Random, token: bytes) -> Made:
    before = chance.choice((b"", _init(token)))
    unit = frame(0, chance.choice((b"", b"a", b"a" * 500)), fin=False)
    return _socket(unit, before + frame(chance.choice((1, 2)), b"a", fin=False), chance)


def _long_frame(chance: Random, token: bytes) -> Made:
    length = chance.choice((65_535, 65_536, 65_537, 2**31, 2**63 - 1, 2**63, 2**64 - 1))
    head = b"\x81\xff" + length.to_bytes(8, "big") + b"\0\0\0\0"
    return _socket(b"[", chance.choice((b"", _init(token))) + head, chance)


def _one_byte_messages(chance: Random, token: bytes) -> Made:
    """A ping in as many fragments as there may be, again and again."""
    ping = b'{"type":"ping"}'
    parts = [frame(1, ping[:1], fin=False), *([frame(0, b"", fin=False)] * 200), frame(0, ping[1:])]
    return _socket(b"".join(parts), chance.choice((b"", _init(token))), chance)


def _fuzzed_socket(chance: Random, token: bytes) -> Made:
    parts = [chance.choice((socket_message, socket_frames))(chance) for _ in range(chance.choice((1, 10, 100)))]
    return _socket(b"".join(parts), chance.choice((b"", _init(token), _init(token))), chance)


def _body(body: bytes, *more: bytes, path: bytes = b"/graphql") -> Callable[[Random, bytes], Made]:
    """A body of 64 MiB, as is said before it."""
    head = b"POST %b HTTP/1.1" % path
    length = b"Content-Length: 67108864"
    kind = b"Content-Type: application/json"
    return lambda _, token: Made(_head(head, kind, length, *more, token=token), _block(body), asks=True)


def _whole_body(body: bytes, *more: bytes) -> Callable[[Random, bytes], Made]:
    """Requests with large bodies, one behind the other."""
    return lambda _, token: Made(b"", _post(body, *more, token=token), asks=True)


def _pipelined(*requests: str) -> Callable[[Random, bytes], Made]:
    def make(chance: Random, token: bytes) -> Made:
        parts = {
            "healthz": _head(b"GET /healthz HTTP/1.1", token=b""),
            "metrics": _head(b"GET /metrics HTTP/1.1", token=b""),
            "nothing": _head(b"GET /nothing HTTP/1.1", token=b""),
            "graphiql": _head(b"GET /graphql HTTP/1.1", b"Accept: text/html", token=b""),
            "app": _post(_APP, token=token),
            "app, with an id": _post(_APP, b"X-Request-Id: abc", token=token),
            "app, as if by h2c": _post(_APP, b"Connection: Upgrade", b"Upgrade: h2c", token=token),
            "app, in chunks": _open(token=token) + b"%x\r\n%b\r\n0\r\nA: b\r\n\r\n" % (len(_APP), _APP),
            "users": _post(BODIES["1,000 users"], token=token),
            "batch": _post(BODIES["a batch of small requests"], token=token),
            "introspection": _post(BODIES["introspection"], token=token),
            "bad body": _post(b"{", token=token),
            "bad token": _post(_APP, token=b"x.y.z"),
            "rest": _head(b"GET /v1/userline/users?limit=100 HTTP/1.1", token=token),
            "large head": _head(b"GET /healthz HTTP/1.1", b"X: " + b"a" * 15_000, token=b""),
            "other heads": b"".join(
                _head(b"GET /healthz?%d HTTP/1.1" % n, *[b"a: b"] * 100, token=b"") for n in range(300)
            ),
            "other heads of the lane": b"".join(
                _post(_APP, b"X: %d" % n + b"a" * 3000, token=token) for n in range(80)
            ),
        }
        picked = [parts[name] for name in requests or chance.sample(list(parts), chance.randint(2, 5))]
        return Made(b"", b"".join(picked) * max(1, 65_536 // sum(map(len, picked))), asks=True)

    return make


def _stream(accept: bytes) -> Callable[[Random, bytes], Made]:
    """A subscription over plain HTTP, and more requests behind it."""

    def make(_: Random, token: bytes) -> Made:
        body = json.dumps({"query": _WATCH}).encode()
        return Made(_post(body, b"Accept: " + accept, token=token), _block(_post(_APP, token=token)), asks=True)

    return make


def _fuzzed_http(chance: Random, token: bytes) -> Made:
    return Made(b"", b"".join(http_request(token.decode(), chance) for _ in range(chance.choice((1, 10, 100)))))


def _fuzzed_head(chance: Random, token: bytes) -> Made:
    return Made(changed_bytes(_open(token=token), chance), _block(chance.randbytes(chance.choice((1, 10, 1000)))))


def _fuzzed_handshake(chance: Random, _: bytes) -> Made:
    return Made(handshake(chance), _block(chance.choice(list(_FRAMES.values()))))


def _noise(chance: Random, _: bytes) -> Made:
    return Made(b"", chance.randbytes(_BLOCK))


_LISTS: Final = b'{"query":"{app{id}}","variables":{"a":[' + b"[]," * 340_000 + b"0]}}"

KINDS: Final[dict[str, Callable[[Random, bytes], Made]]] = {
    "messages before connection_init": _of_first_messages,
    **{f"head: {name}": _of_heads(name) for name in _HEADS},
    "messages": _of_messages,
    **{f"chunks: {name}": _of_chunks(name) for name in _CHUNKS},
    **{f"new socket: {name}": _of_frames(name, opened=False) for name in _FRAMES},
    "many subscriptions": _many_ids,
    "pipelined: mixed": _pipelined(),
    **{f"socket: {name}": _of_frames(name, opened=True) for name in _FRAMES},
    **{f"large messages: {name}": _of_large_messages(name) for name in large.NAMES},
    "fragments": _fragments,
    "one byte messages": _one_byte_messages,
    "a long frame": _long_frame,
    "noise": _noise,
    "body of spaces": _body(b" "),
    "body of lists": _body(b"["),
    "body nobody asked for": _body(b"x", path=b"/healthz"),
    "body of nothing": _body(b"x", path=b"/nothing"),
    "body behind h2c": _body(_head(b"GET /metrics HTTP/1.1", token=b""), b"Connection: Upgrade", b"Upgrade: h2c"),
    "body that is waited for": _body(b"x", b"Expect: 100-continue"),
    "body for a socket": _body(frame(9, b""), b"Connection: Upgrade", b"Upgrade: websocket"),
    "bodies of 1 MiB of lists": _whole_body(_LISTS),
    "bodies of 1 MiB of a string": _whole_body(b'{"query":"' + b"a" * 1_000_000 + b'"}'),
    "bodies of 1 MiB of escapes": _whole_body(b'{"query":"{app{id}}","variables":{"a":"' + b"\\n" * 500_000 + b'"}}'),
    **{
        f"pipelined: {name}": _pipelined(name)
        for name in (
            *("healthz", "metrics", "nothing", "graphiql", "app", "app, with an id", "app, as if by h2c", "users"),
            *("app, in chunks", "batch", "introspection", "bad body", "bad token", "rest", "large head"),
            *("other heads", "other heads of the lane"),
        )
    },
    "events": _stream(b"text/event-stream"),
    "multipart": _stream(b'multipart/mixed;subscriptionSpec="1.0", application/json'),
    "fuzzed messages": _fuzzed_socket,
    "fuzzed requests": _fuzzed_http,
    "fuzzed heads": _fuzzed_head,
    "fuzzed handshakes": _fuzzed_handshake,
}
