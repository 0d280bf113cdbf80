"""Deletes many users, several at the same time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final

import orjson

from userline.common.repeated_names import find_repeated_name
from userline.moving.batches import BYTE_ORDER_MARK
from userline.moving.patience import patiently
from userline.users.errors import BadUserInput, Problem
from userline.users.patch import parse_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from userline.storage.protocol import DeleteResult, UserStore

AT_ONCE: Final = 64
_MOST_PROBLEMS: Final = 20


def read_ids(file: BinaryIO) -> list[str]:
    """Return the ids of a file: one a line, as it is or as JSON, or objects with an ``id``, as exports have them.

    Raises BadUserInput that says which lines have none.
    """
    ids: list[str] = []
    problems: list[Problem] = []
    for number, line in enumerate(file, 1):
        text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        if not text.strip():
            continue
        try:
            ids.append(_id_of(text.rstrip(b"\r\n")))
        except (BadUserInput, ValueError) as error:
            problems.append(Problem("line", f"line {number} has no id of a user: {error}"))
            if len(problems) >= _MOST_PROBLEMS:
                break
    if problems:
        raise BadUserInput(problems)
    return ids


async def delete_all(
    store: UserStore, ids: Sequence[str], *, stop: asyncio.Event
) -> AsyncGenerator[dict[str, DeleteResult], None]:
    """Delete these users, and yield what was done with some of them after the other, until the stop.

    Raises StoreUnavailable; doing the same again goes on.
    """
    for start in range(0, len(ids), AT_ONCE):
        if stop.is_set():
            return
        some = ids[start : start + AT_ONCE]
        done = await asyncio.gather(*(patiently(partial(store.delete, user_id)) for user_id in some))
        yield dict(zip(some, done, strict=True))


def _id_of(line: bytes) -> str:
    if line[:1] not in (b"{", b'"'):
        return parse_id(line.decode())
    value = orjson.loads(line)
    if complaint := find_repeated_name(line, value):
        raise ValueError(f"it {complaint}.")
    return parse_id(value.get("id") if isinstance(value, dict) else value)
