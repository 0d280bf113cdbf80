"""From a store into a file: every user, in order of id."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import orjson

from userline.moving.checkpoint import MoveRefused, open_private, write_whole
from userline.moving.lines import encode_line
from userline.moving.patience import patiently
from userline.moving.progress import Progress
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export: how many users are in the file, and whether that is all of them."""

    users: int
    complete: bool


async def export_to_file(
    store: UserStore, path: Path, identity: dict[str, object], *, stop: asyncio.Event, screen: TextIO
) -> Exported:
    """Write all users into ``path``, or go on where a run before was interrupted.

    They are collected in ``path`` with ``.part`` behind it, which takes its name when it is complete. Raises
    StoreUnavailable, and MoveRefused if what is there is of another export.
    """
    part, note = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")
    users, last = 0, None
    if part.exists():
        _check_note(part, note, identity)
        users, last = _salvage(part)
    else:
        write_whole(note, orjson.dumps(identity))
    progress = Progress(screen, "exporting", await store.count_users(), already=users, about=True)
    with os.fdopen(open_private(part, os.O_APPEND), "ab") as file:
        async for page in pages(store, after=last):
            file.write(b"".join(map(encode_line, page)))
            users += len(page)
            progress.show(users, users)
            if stop.is_set():
                break
        file.flush()
        os.fsync(file.fileno())
    progress.finish(users, users)
    if stop.is_set():
        return Exported(users, complete=False)
    part.replace(path)
    note.unlink(missing_ok=True)
    return Exported(users, complete=True)


async def pages(store: UserStore, *, after: str | None = None) -> AsyncGenerator[list[UserRecord], None]:
    """Yield all users in order of id, from the one that follows ``after``. Waits for a store that is away for a bit.

    Each is as it was when its page was read.
    """
    walk: AsyncGenerator[list[UserRecord], None] | None = None

    async def next_page() -> list[UserRecord] | None:
        nonlocal walk
        walk = walk or store.walk(after=after)
        try:
            return await anext(walk, None)
        except StoreUnavailable:
            walk = None  # another one goes on
            raise

    try:
        while (page := await patiently(next_page)) is not None:
            if page:
                after = page[-1].snapshot.id
                yield page
    finally:
        if walk is not None:
            await walk.aclose()


def _check_note(part: Path, note: Path, identity: dict[str, object]) -> None:
    try:
        known = orjson.loads(note.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        known = None
    if known != identity:
        raise MoveRefused(f"{part} is of an export of another store. Delete it, or say --restart.")


def _salvage(part: Path) -> tuple[int, str | None]:
    """Cut off what was not written whole; return how many users are there, and the last one's id."""
    lines = end = last_start = 0
    with part.open("r+b") as file:
        for line in file:
            try:
                orjson.loads(line)["id"]
            except (orjson.JSONDecodeError, TypeError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            lines, last_start, end = lines + 1, end, end + len(line)
        file.truncate(end)
        if not lines:
            return 0, None
        file.seek(last_start)
        return lines, str(orjson.loads(file.read(end - last_start))["id"])
