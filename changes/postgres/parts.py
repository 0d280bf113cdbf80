"""Messages as the payloads of notifications, which are short and must be text in the encoding of the database.

A message is cut into numbered parts, ``ID.NUMBER.COUNT:BASE64``. All parts of a message are sent in one transaction.
PostgreSQL hands out the notifications of a transaction one after the other, in order, with none of another between
them, or none at all. So whoever listens has at most one message that is not whole, and what does not go on with it ends
it: another message, or the heartbeat of the next second.
"""

from __future__ import annotations

import binascii
import re
from hashlib import sha256
from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""How large a message may be."""

_BYTES_A_PART: Final = 5_900
"""In Base64 and with its number, that is less than the 8,000 bytes that a payload must be short of."""

_MOST_NAME_BYTES: Final = 63
"""Source: PostgreSQL's NAMEDATALEN. ``LISTEN`` cuts longer names without a word."""

_PART: Final = re.compile(r"([0-9a-f-]{1,64})\.(\d{1,9})\.(\d{1,9}):(.*)", re.ASCII | re.DOTALL)


class TooLargeError(ValueError):
    """A message is larger than may be sent."""


def name_of(channel: str) -> str:
    """Return what a channel is named in PostgreSQL: two channels never share a name.

    A name that is too long has its hash in place, and no colon, which all channels have (``changes/channels.py``).
    """
    encoded = channel.encode()
    return channel if len(encoded) <= _MOST_NAME_BYTES else "userline-" + sha256(encoded).hexdigest()[:54]


def parts_of(message_id: str, message: bytes) -> list[str]:
    """Return the payloads of a message. Raises TooLargeError."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise TooLargeError
    count = max(1, -(-len(message) // _BYTES_A_PART))
    return [
        f"{message_id}.{number}.{count}:"
        + binascii.b2a_base64(message[number * _BYTES_A_PART : (number + 1) * _BYTES_A_PART], newline=False).decode()
        for number in range(count)
    ]


class Assembly:
    """Puts messages together again, one at a time."""

    def __init__(self) -> None:
        self._of: tuple[str, str, int] | None = None
        self._pieces: list[bytes] = []

    @property
    def held_bytes(self) -> int:
        """How much of a message that is not whole is held."""
        return sum(map(len, self._pieces))

    def add(self, channel: str, payload: str) -> bytes | None:
        """Take a notification; return the message that is whole with it.

        What is no part, or not the next one, is returned as it is: it is a message of somebody else's, if any.
        """
        part = _PART.fullmatch(payload)
        if part is None:
            return self._drop(payload)
        message_id, number, count, text = part[1], int(part[2]), int(part[3]), part[4]
        try:
            piece = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            return self._drop(payload)
        if number == 0:
            self._of, self._pieces = (channel, message_id, count), []
        if (
            self._of != (channel, message_id, count)
            or number != len(self._pieces)
            or not number < count
            or count * _BYTES_A_PART > MAX_MESSAGE_BYTES + _BYTES_A_PART
            or not len(piece) <= _BYTES_A_PART
        ):
            return self._drop(payload)
        self._pieces.append(piece)
        if len(self._pieces) < count:
            return None
        message = b"".join(self._pieces)
        self._of, self._pieces = None, []
        return message

    def _drop(self, payload: str) -> bytes:
        self._of, self._pieces = None, []
        return payload.encode(errors="replace")
