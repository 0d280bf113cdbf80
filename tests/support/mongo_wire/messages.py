"""MongoDB's wire protocol: OP_MSG, and the OP_QUERY that old drivers begin with.

https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import bson

Document: TypeAlias = dict[str, Any]

OP_REPLY: Final = 1
OP_QUERY: Final = 2004
OP_MSG: Final = 2013

CHECKSUM_PRESENT: Final = 1 << 0
MORE_TO_COME: Final = 1 << 1
EXHAUST_ALLOWED: Final = 1 << 16
_KNOWN_FLAGS: Final = CHECKSUM_PRESENT | MORE_TO_COME | EXHAUST_ALLOWED
_MUST_BE_KNOWN: Final = 0xFFFF

MOST_BYTES: Final = 48_000_000
"""The longest message, as MongoDB's ``maxMessageSizeBytes``."""

_HEADER: Final = struct.Struct("<iiii")
_INT: Final = struct.Struct("<i")
_UINT: Final = struct.Struct("<I")

_ids = itertools.count(1)


class ProtocolError(ValueError):
    """The bytes are no message that this module knows."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a command, or the answer to one.

    ``sequences`` are the sections of kind 1: lists of documents that belong to a field of the command. ``is_legacy``
    tells OP_QUERY and OP_REPLY, which carry the first ``hello`` of some drivers.
    """

    body: Document
    request_id: int = field(default_factory=lambda: next(_ids))
    response_to: int = 0
    flags: int = 0
    sequences: dict[str, list[Document]] = field(default_factory=dict)
    is_legacy: bool = False
    legacy_database: str = "admin"

    @property
    def command(self) -> str:
        """The command's name."""
        return next(iter(self.body), "")

    @property
    def database(self) -> str:
        """The database that the command is for."""
        return str(self.body.get("$db", self.legacy_database))

    @property
    def namespace(self) -> str:
        """``database.collection``, or the database where a command is for none."""
        collection = self.body.get("collection" if self.command == "getMore" else self.command)
        return f"{self.database}.{collection}" if isinstance(collection, str) else self.database

    @property
    def more_to_come(self) -> bool:
        """Of a command: no answer is wanted. Of an answer: another one follows by itself."""
        return bool(self.flags & MORE_TO_COME)

    def documents(self, name: str) -> list[Document]:
        """Return the documents of a field, whichever section they came in."""
        return list(self.sequences.get(name) or self.body.get(name) or [])

    def answered(self, body: Document, flags: int = 0) -> Message:
        """Return an answer to this command."""
        return Message(body, response_to=self.request_id, flags=flags, is_legacy=self.is_legacy)

    def without(self, *names: str) -> Message:
        """Return this message without some fields of its body."""
        return replace(self, body={name: value for name, value in self.body.items() if name not in names})


def encode(message: Message, *, checksum: bool = False) -> bytes:
    """Return the bytes of a message."""
    if message.is_legacy:
        return _framed(message, OP_REPLY if message.response_to else OP_QUERY, _encode_legacy(message))
    flags = message.flags & ~CHECKSUM_PRESENT | (CHECKSUM_PRESENT if checksum else 0)
    parts = [_UINT.pack(flags), b"\0", bson.encode(message.body)]
    for name, documents in message.sequences.items():
        content = name.encode() + b"\0" + b"".join(map(bson.encode, documents))
        parts += [b"\1", _INT.pack(4 + len(content)), content]
    data = _framed(message, OP_MSG, b"".join(parts), 4 if checksum else 0)
    return data + _UINT.pack(crc32c(data)) if checksum else data


def decode(data: bytes) -> Message:
    """Return the message that the bytes are. Raises ProtocolError."""
    length, request_id, response_to, op_code = _HEADER.unpack_from(data)
    if length != len(data):
        raise ProtocolError("the length is wrong")
    try:
        if op_code == OP_MSG:
            return _decode_msg(data, request_id, response_to)
        if op_code in (OP_QUERY, OP_REPLY):
            return _decode_legacy(data, op_code, request_id, response_to)
    except (bson.errors.BSONError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"what is in it cannot be read: {error}") from error
    raise ProtocolError(f"op code {op_code} is not spoken here")


async def read(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message, or None at the end. Raises ProtocolError, and OSError where the connection breaks."""
    try:
        head = await reader.readexactly(4)
        (length,) = _INT.unpack(head)
        if not _HEADER.size <= length <= MOST_BYTES:
            raise ProtocolError(f"a message of {length} bytes")
        return decode(head + await reader.readexactly(length - 4))
    except asyncio.IncompleteReadError:
        return None


def _framed(message: Message, op_code: int, content: bytes, more: int = 0) -> bytes:
    length = _HEADER.size + len(content) + more
    return _HEADER.pack(length, message.request_id, message.response_to, op_code) + content


def _decode_msg(data: bytes, request_id: int, response_to: int) -> Message:
    (flags,) = _UINT.unpack_from(data, 16)
    if flags & _MUST_BE_KNOWN & ~_KNOWN_FLAGS:
        raise ProtocolError(f"flags {flags:#x}")
    end = len(data)
    if flags & CHECKSUM_PRESENT:
        end -= 4
        if _UINT.unpack_from(data, end)[0] != crc32c(data[:end]):
            raise ProtocolError("the checksum is wrong")
    body: Document | None = None
    sequences: dict[str, list[Document]] = {}
    place = 20
    while place < end:
        kind, place = data[place], place + 1
        (size,) = _INT.unpack_from(data, place)
        section, place = data[place : place + size], place + size
        if size < 5 or place > end:
            raise ProtocolError("a section ends past the message")
        if kind == 0 and body is None:
            body = bson.decode(section)
        elif kind == 1:
            name, _, documents = section[4:].partition(b"\0")
            sequences[name.decode()] = bson.decode_all(documents)
        else:
            raise ProtocolError(f"a section of kind {kind}")
    if body is None:
        raise ProtocolError("no body")
    return Message(body, request_id, response_to, flags & ~CHECKSUM_PRESENT, sequences)


def _decode_legacy(data: bytes, op_code: int, request_id: int, response_to: int) -> Message:
    if op_code == OP_REPLY:
        return Message(bson.decode_all(data[36:])[0], request_id, response_to, is_legacy=True)
    collection, _, rest = data[20:].partition(b"\0")
    database = collection.decode().removesuffix(".$cmd")
    return Message(bson.decode_all(rest[8:])[0], request_id, response_to, is_legacy=True, legacy_database=database)


def _encode_legacy(message: Message) -> bytes:
    if message.response_to:
        return struct.pack("<iqii", 8, 0, 0, 1) + bson.encode(message.body)
    return (
        _INT.pack(0)
        + f"{message.database}.$cmd".encode()
        + b"\0"
        + struct.pack("<ii", 0, -1)
        + bson.encode({name: value for name, value in message.body.items() if name != "$db"})
    )


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901
        table.append(value)
    return table


_CRC_TABLE: Final = _table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes, which checksums of messages are."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
