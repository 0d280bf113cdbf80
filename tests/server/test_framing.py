"""Heads and bodies as the connection reads them, held against llhttp: what ours takes, llhttp takes the same way."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import httptools
import pytest

from userline.execution.weighed import WeighedCache
from userline.server.flow import Unparsed
from userline.server.framing import Chunked, Sized
from userline.server.heads import (
    Head,
    Headers,
    KnownHeads,
    check_beginning,
    parse_head,
)
from userline.server.reading import RequestReader
from userline.server.refusals import Malformed

ROUNDS = 200_000 if os.environ.get("USERLINE_TEST_LONG") == "1" else 10_000


class Theirs:
    """What llhttp reads."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: Headers = []
        self.body = b""
        self.heads = 0
        self.complete = 0
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.heads:
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.heads += 1

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


LINES = [
    *(b"Host: localhost", b"host: localhost:80", b"Host: [::1]", b"Host:", b"Host: a b", b"Host : a", b"Host: a@b"),
    *(
        b"Content-Length: 5",
        b"content-length: 0",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: 0x5",
    ),
    *(b"Content-Length:", b"Content-Length: 5 ", b"Content-Length: 99999999999999999999", b"Content-Length: \xb2"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"transfer-encoding:\tCHUNKED\t"),
    *(b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: x\tchunked", b"Transfer-Encoding : chunked"),
    *(b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade, HTTP2-Settings", b"Connection: a,close"),
    *(b"Upgrade: h2c", b"Upgrade: websocket", b"HTTP2-Settings: AAMAAABkAAQAAP__", b"Expect: 100-continue"),
    *(
        b" folded",
        b"\tfolded: x",
        b"no colon",
        b": no name",
        b"X-Nul: a\0b",
        b"X-Lf: a\nX: b",
        b"X-Cr: a\rb",
        b"X-Tab:\ta\tb",
    ),
    *(b"X-Text: \xc3\xa9", b"X-Del: \x7f", b"X(Y): a", b"X-Empty:", b"X-Twice: 1", b"X-Twice: 2", b"X-Bell: \x07"),
]
TARGETS = [
    *(b"/", b"/graphql", b"/a?b=c&d", b"/a%20b", b"*", b"http://localhost/x?y", b"http://localhost", b"http://a@b/"),
    *(
        b"localhost:80",
        b"graphql",
        b"/\xc3\xa9",
        b"//a//b",
        b"/a#b",
        b"?a",
        b"http:///x",
        b'/{a}|b"',
        b"https://[::1]:1/",
    ),
]
METHODS = [b"GET", b"POST", b"PUT", b"OPTIONS", b"HEAD", b"CONNECT", b"get", b"BREW", b"G(T", b"PRI"]
VERSIONS = [b"HTTP/1.1"] * 8 + [
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/11",
]


def made_head(chance: Random) -> bytes:
    usual = chance.random() < 0.7
    line = b" ".join(
        (
            chance.choice(METHODS[:5] if usual else METHODS),
            chance.choice(TARGETS[:4] if usual else TARGETS),
            chance.choice(VERSIONS[:9] if usual else VERSIONS),
        )
    )
    lines = [line, *([b"Host: localhost"] if chance.random() < 0.8 else [])]
    lines += chance.sample(LINES, chance.choice((0, 1, 1, 2, 3)))
    end = b"\r\n" if chance.random() < 0.95 else b"\n"
    return end.join(lines) + b"\r\n\r\n"


def ours(raw: bytes) -> Head | None:
    try:
        return parse_head(raw)
    except Malformed as error:
        assert error.status in (400, 431), error  # noqa: PT017 - it is looked at as well
        return None


def test_a_head_that_is_taken_is_one_for_llhttp_and_means_the_same() -> None:
    chance = Random(1)
    taken = refused = refused_by_us_alone = 0
    for _ in range(ROUNDS):
        raw = made_head(chance)
        head = ours(raw)
        theirs = Theirs()
        try:
            theirs.parser.feed_data(raw)
            accepts = theirs.heads == 1
        except httptools.HttpParserUpgrade:
            accepts = True
        except httptools.HttpParserError:
            accepts = False
        if head is None:
            refused += 1
            refused_by_us_alone += accepts
            continue
        taken += 1
        assert accepts, raw
        assert head.method.encode() == theirs.parser.get_method(), raw
        assert head.version == theirs.parser.get_http_version(), raw
        if head.raw_path != b"*":
            url = httptools.parse_url(theirs.url)
            assert (head.raw_path, head.query_string) == (url.path or b"/", url.query or b""), raw
        if not theirs.url.startswith(b"http"):
            assert head.headers == theirs.headers, raw
        if head.keep_alive and b"upgrade" not in {name for name, _ in head.headers}:
            assert theirs.parser.should_keep_alive(), raw
        if head.body_bytes == 0 and not head.is_handshake:
            assert theirs.complete == 1, raw
    assert taken > ROUNDS / 10
    assert refused > ROUNDS / 10
    assert refused_by_us_alone > ROUNDS / 100, "and it is stricter"


def made_chunks(chance: Random) -> tuple[bytes, bytes]:
    """Return a body in chunks, and its content."""
    content, body = b"", b""
    for _ in range(chance.choice((0, 1, 2, 5))):
        piece = chance.randbytes(chance.choice((1, 2, 15, 16, 300)))
        size = (b"%x", b"%X", b"0%x", b"0000%x")[chance.randrange(4)] % len(piece)
        extension = chance.choice((b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a=b;c=d"))
        body += size + extension + b"\r\n" + piece + b"\r\n"
        content += piece
    trailers = chance.choice((b"", b"", b"A: b\r\n", b"Authorization: Bearer x\r\nHost: b\r\n"))
    return body + chance.choice((b"0", b"00", b"0;last")) + b"\r\n" + trailers + b"\r\n", content


def mutated(data: bytes, chance: Random) -> bytes:
    made = bytearray(data)
    at = chance.randrange(len(made))
    match chance.randrange(4):
        case 0:
            made[at] = chance.choice(b"\r\n \t;:09afAFxg\0\xff")
        case 1:
            del made[at : at + chance.choice((1, 1, 2, 5))]
        case 2:
            made[at:at] = chance.choice((b"\r", b"\n", b"\r\n", b" ", b"0", b"ffffffffffffffff", b"\0", b";"))
        case _:
            made[at:at] = made[at : at + 3]
    return bytes(made)


def decoded(data: bytes, cuts: list[int], most: int = 1000) -> tuple[bytes, int] | str | None:
    """Return content and where it ends, what is wrong, or None if something is still to come."""
    chunked = Chunked(most)
    content, kept, begins = b"", b"", 0
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        kept += data[start:end]
        while kept and not chunked.is_complete:
            try:
                part, place = chunked.decode(kept, 0)
            except Malformed as error:
                return str(error)
            content += part
            kept = kept[place:]
            begins += place
            if not place:
                break
    return (content, begins) if chunked.is_complete else None


def test_chunks_are_decoded_as_llhttp_decodes_them_however_they_are_split() -> None:
    chance = Random(2)
    taken = refused = 0
    for number in range(ROUNDS):
        data, content = made_chunks(chance)
        is_sound = number % 2 == 0
        data = data if is_sound else mutated(data, chance)
        whole = decoded(data, [])
        cuts = sorted(chance.sample(range(1, len(data) or 1), min(len(data) // 2, chance.randrange(12))))
        for way in (cuts, list(range(1, len(data)))):
            assert decoded(data, way) == whole, data
        theirs = Theirs()
        try:
            theirs.parser.feed_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
            is_refused = False
        except httptools.HttpParserError:
            is_refused = True
        if is_sound:
            assert whole == (content, len(data))
        if isinstance(whole, tuple):
            taken += 1
            assert theirs.complete >= 1, data
            if is_sound:
                assert not is_refused
                assert theirs.body == content
            elif theirs.complete == 1:
                assert theirs.body[: len(whole[0])] == whole[0], data
        elif isinstance(whole, str):
            refused += 1
    assert taken > ROUNDS / 2
    assert refused > ROUNDS / 20


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"5", b"5\r", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r", b"0\r\n", b"0\r\nA: b\r\n", b"0\r\n\r"),
        b"5;" + b"a" * 900,
    ],
)
def test_what_may_still_become_a_body_is_waited_for(data: bytes) -> None:
    assert decoded(data, []) is None


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\r\n",
            b"g\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"5 ;a\r\n",
            b"5\n",
            b"5;a\nb\r\n",
            b"5;\0\r\n",
        ),
        *(b"1\r\nab", b"1\r\na\n", b"1\r\na\r\r", b"f" * 16 + b"\r\n", b"5;" + b"a" * 2000, b"0" * 2000),
        *(b"0\r\nA : b\r\n\r\n", b"0\r\n b\r\n\r\n", b"0\r\nA: b\nC: d\r\n\r\n", b"0\r\nA\r\n\r\n"),
        *(b"0\r\nA: " + b"b" * 2000, b"0\r\n" + b"A: b\r\n" * 300),
    ],
)
def test_what_is_no_body_in_chunks_is_refused(data: bytes) -> None:
    for cuts in ([], list(range(1, len(data)))):
        result = decoded(data, cuts)
        assert isinstance(result, str), result


@pytest.mark.parametrize(
    ("chunk", "is_fine"), [(b"2\r\nab\r\n", True), (b"1\r\na\r\n", False), (b"2;a=b\r\nab\r\n", False)]
)
def test_chunks_may_be_small_but_not_all_that_there_is(chunk: bytes, is_fine: bool) -> None:
    result = decoded(chunk * 100_000 + b"0\r\n\r\n", [])
    assert isinstance(result, tuple) == is_fine
    few = decoded(chunk * 5000 + b"0\r\n\r\n", [])
    assert isinstance(few, tuple)


def test_a_sized_body_ends_where_it_says() -> None:
    sized = Sized(5)
    assert sized.decode(b"xhel", 1) == (b"hel", 4)
    assert not sized.is_complete
    assert sized.decode(b"loGET", 0) == (b"lo", 2)
    assert sized.is_complete


@pytest.mark.parametrize(
    "begun",
    [b"\x16\x03\x01\x02", b"GET /\r\n", b"GET / HTTP/1.1\n", b"\n", b"PRI * HTTP/2.0\r\n", b"\0", b"\xff", b" GET"],
)
def test_what_can_be_no_head_is_told_at_once(begun: bytes) -> None:
    with pytest.raises(Malformed):
        check_beginning(begun, 0)


@pytest.mark.parametrize(
    "begun", [b"G", b"GET", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nHo", b"\r", b"", b"GET / HTTP/1.1\r"]
)
def test_what_may_become_a_head_is_waited_for(begun: bytes) -> None:
    check_beginning(begun, 0)


def test_the_host_of_the_target_is_the_one_that_counts() -> None:
    head = parse_head(b"GET http://evil.example/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert dict(head.headers)[b"host"] == b"evil.example"


@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.0", b"HTTP/2.0", b"foo, bar", b"", b"websockets"])
def test_an_upgrade_to_something_else_changes_nothing(protocol: bytes) -> None:
    raw = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\nContent-Length: 3\r\n\r\n"
    )
    head = parse_head(raw % protocol)
    assert (head.is_handshake, head.body_bytes, head.keep_alive) == (False, 3, True)


def test_heads_are_read_once_but_those_of_one_request() -> None:
    heads = KnownHeads(1000, WeighedCache(1_000_000))
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    assert heads.of_bytes(raw) is heads.of_bytes(bytes(bytearray(raw)))
    for other in (b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n\r\n", raw[:-2] + b"A: %b\r\n\r\n" % (b"a" * 1000)):
        assert heads.of_bytes(other) is not heads.of_bytes(other)


class Paused:
    """A transport of which nothing is wanted but to pause."""

    def __init__(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


def test_requests_are_found_however_their_bytes_come() -> None:
    chance = Random(3)
    for _ in range(300):
        expected: list[tuple[str, bytes]] = []
        data = b""
        for number in range(chance.randint(1, 5)):
            chunks, content = made_chunks(chance)
            line = b"\r\n" * chance.randrange(2) + b"POST /%d HTTP/1.1\r\nHost: a\r\n" % number
            if chance.random() < 0.5:
                data += line + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
            else:
                data += line + b"Content-Length: %d\r\n\r\n" % len(content) + content
            expected.append((f"/{number}", content))
        cuts = sorted(chance.sample(range(1, len(data)), chance.randrange(min(len(data), 40))))
        unparsed = Unparsed(Paused())  # type: ignore[arg-type]
        reader = RequestReader(unparsed, KnownHeads(4096), 4096)
        seen: list[tuple[str, bytes]] = []
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            unparsed.append(data[start:end])
            place = -1
            while unparsed and unparsed.position != place:
                place = unparsed.position
                if reader.has_body:
                    path, content = seen[-1]
                    seen[-1] = (path, content + reader.decode())
                elif head := reader.head():
                    seen.append((head.path, reader.begin_body(head) or b""))
        assert seen == expected
        assert not reader.has_body
        assert not unparsed


def test_a_connection_of_which_much_waits_is_not_read_from() -> None:
    transport: Any = Paused()
    unparsed = Unparsed(transport)
    unparsed.append(b"a" * 65_536)
    unparsed.balance()
    assert not transport.is_paused
    unparsed.append(b"a")
    unparsed.balance()
    assert transport.is_paused
    assert unparsed.read(60_000) == b"a" * 60_000
    unparsed.balance()
    assert not transport.is_paused
    unparsed.balance(True)
    assert transport.is_paused
