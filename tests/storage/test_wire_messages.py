"""The wire protocol, as the tests' proxy speaks it: against pymongo's own encoder, and against what is broken."""

import asyncio
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.codec_options import DEFAULT_CODEC_OPTIONS
from hypothesis import given
from hypothesis import strategies as st
from pymongo import message as pymongo_message

from tests.support.mongo_wire import messages
from tests.support.mongo_wire.messages import Message, ProtocolError, crc32c, decode, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

names = st.text("abcdefgh$.", min_size=1, max_size=8)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text("ab é😀\0", max_size=20), st.binary()
)
documents = st.dictionaries(names, values, max_size=5)
whole = st.builds(
    Message,
    body=documents,
    request_id=st.integers(0, 2**31 - 1),
    response_to=st.integers(0, 2**31 - 1),
    flags=st.sampled_from([0, messages.MORE_TO_COME, messages.EXHAUST_ALLOWED]),
    sequences=st.dictionaries(st.text("abc", min_size=1, max_size=5), st.lists(documents, max_size=4), max_size=2),
)


@given(message=whole, checksum=st.booleans())
def test_what_is_written_is_read_again(message: Message, checksum: bool) -> None:
    assert decode(encode(message, checksum=checksum)) == message


@given(message=whole, place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_by_the_checksum(message: Message, place: int, bit: int) -> None:
    data = bytearray(encode(message, checksum=True))
    data[16 + place % (len(data) - 16)] ^= 1 << bit
    if struct.unpack_from("<I", data, 16)[0] & messages.CHECKSUM_PRESENT:
        with pytest.raises(ProtocolError):
            decode(bytes(data))


@given(data=st.binary(max_size=200), op_code=st.sampled_from([1, 2004, 2012, 2013]))
def test_what_is_no_message_is_refused_in_words(data: bytes, op_code: int) -> None:
    framed = struct.pack("<iiii", 16 + len(data), 1, 0, op_code) + data
    with suppress(ProtocolError):
        decode(framed)


def test_crc32c_is_the_one_of_castagnoli() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


@pytest.mark.parametrize("flags", [0, 2, 1 << 16])
def test_a_drivers_bulk_write_is_read(flags: int) -> None:
    command = {"insert": "users", "ordered": False, "$db": "userline"}
    rows: list[Mapping[str, Any]] = [{"_id": str(number)} for number in range(3)]
    _, data, _, _ = pymongo_message._op_msg_uncompressed(
        flags, {**command, "documents": rows}, "documents", rows, DEFAULT_CODEC_OPTIONS
    )
    message = decode(data)
    assert (message.command, message.namespace, message.flags) == ("insert", "userline.users", flags)
    assert message.documents("documents") == rows
    assert decode(encode(message)) == message


def test_an_old_handshake_is_read_and_answered() -> None:
    query = struct.pack("<i", 0) + b"admin.$cmd\0" + struct.pack("<ii", 0, -1)
    query += bson.encode({"isMaster": 1, "helloOk": True})
    message = decode(struct.pack("<iiii", 16 + len(query), 7, 0, 2004) + query)
    assert (message.command, message.database, message.is_legacy) == ("isMaster", "admin", True)
    answer = encode(message.answered({"ok": 1.0}))
    assert struct.unpack_from("<iiii", answer)[2:] == (7, 1)
    assert decode(answer).body == {"ok": 1.0}
    assert decode(encode(message)) == message


def test_get_more_names_its_collection() -> None:
    assert Message({"getMore": 5, "collection": "users", "$db": "userline"}).namespace == "userline.users"
    assert Message({"ping": 1, "$db": "admin"}).namespace == "admin"


@pytest.mark.parametrize("length", [0, 15, messages.MOST_BYTES + 1, -1])
async def test_no_message_is_longer_than_mongodb_allows(length: int) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(struct.pack("<i", length))
    with pytest.raises(ProtocolError):
        await messages.read(reader)


async def test_the_end_of_a_connection_is_no_message() -> None:
    whole_message = encode(Message({"ping": 1}))
    for end in range(len(whole_message)):
        reader = asyncio.StreamReader()
        reader.feed_data(whole_message[:end])
        reader.feed_eof()
        assert await messages.read(reader) is None
