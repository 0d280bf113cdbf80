"""From a store into a file or a stream: every user, in order of id."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TextIO

import orjson

from userline.moving.checkpoint import MoveRefused
from userline.moving.json_lines import encode_line
from userline.moving.part import Part
from userline.moving.patience import patiently
from userline.moving.progress import Progress
from userline.moving.streams import write_stream
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from userline.storage.protocol import Unreadable, UserStore
    from userline.users.record import UserRecord

MOST_UNREADABLE: Final = 1000
"""A store with more than that in it that is no user is none of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The options of an export."""

    overwrite: bool = True
    """Replace the file that is there."""
    resume: bool = False
    """Go on where a run was interrupted long ago, too."""
    restart: bool = False
    """Begin anew where a run was interrupted."""
    allow_empty: bool = True
    """A store without users is exported as an empty file."""
    skip_unreadable: bool = True
    """Export the others although something cannot be read as a user."""
    tell_unreadable: bool = False
    """Ask the store for what cannot be read as a user."""


_DEFAULTS: Final = ExportOptions()


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export: how many users are in the file, and whether these are all."""

    users: int
    complete: bool
    unreadable: dict[str, str] = field(default_factory=dict)
    """What could not be read, by id, with the reasons."""


async def export_to_file(  # noqa: PLR0913 - each is something else
    store: UserStore,
    path: Path,
    identity: dict[str, object],
    *,
    stop: asyncio.Event,
    screen: TextIO,
    options: ExportOptions = _DEFAULTS,
) -> Exported:
    """Write all users into ``path``, or go on where a run before was interrupted.

    They are collected in ``path`` with ``.part`` behind it, which takes its name when it is complete; until then what
    is at ``path`` stays as it is. Raises StoreUnavailable, and MoveRefused if what is there is of another export, if
    there are no users, or if the file cannot be written.
    """
    with Part(path, identity, resume=options.resume, restart=options.restart) as part:
        note = part.note
        if part.has_begun:
            screen.write(f"Continuing {part.path}, which has {note.users:,} users and was started at {part.begun}.\n")
        progress = Progress(screen, "exporting", await store.count_users(), already=note.users, about=True)
        on_unreadable = _collector(note.unreadable) if options.tell_unreadable else None
        async for page in pages(store, after=note.last, on_unreadable=on_unreadable):
            try:
                part.add(b"".join(map(encode_line, page)), len(page), page[-1].snapshot.id)
            except OSError as error:
                raise MoveRefused(
                    f"{part.path} cannot be written: {error.strerror}. Nothing else was changed. When that is "
                    "repaired, run the same command again to continue, or delete the file."
                ) from error
            progress.show(note.users, note.users)
            if stop.is_set():
                break
        progress.finish(note.users, note.users)
        if stop.is_set():
            return Exported(note.users, complete=False, unreadable=note.unreadable)
        if not note.users and not options.allow_empty:
            part.discard()
            raise MoveRefused(_EMPTY)
        if note.unreadable and not options.skip_unreadable:
            part.discard()
            return Exported(note.users, complete=False, unreadable=note.unreadable)
        part.finish(overwrite=options.overwrite)
    return Exported(note.users, complete=True, unreadable=note.unreadable)


async def export_to_stream(
    store: UserStore, descriptor: int, *, stop: asyncio.Event, options: ExportOptions = _DEFAULTS
) -> Exported:
    """Write all users to where a descriptor leads. Raises StoreUnavailable, OSError, MoveRefused if there are none."""
    users = 0
    unreadable: dict[str, str] = {}
    on_unreadable = _collector(unreadable) if options.tell_unreadable else None
    async for page in pages(store, on_unreadable=on_unreadable):
        await write_stream(descriptor, b"".join(map(encode_line, page)), stop)
        users += len(page)
        if stop.is_set():
            return Exported(users, complete=False, unreadable=unreadable)
    if not users and not options.allow_empty:
        raise MoveRefused(_EMPTY)
    return Exported(users, complete=True, unreadable=unreadable)


async def pages(
    store: UserStore, *, after: str | None = None, on_unreadable: Callable[[Unreadable], None] | None = None
) -> AsyncGenerator[list[UserRecord], None]:
    """Yield all users in order of id, from the one that follows ``after``. Waits for a store that is away for a bit.

    Each is as it was when its page was read. ``on_unreadable`` may hear of the same more than once.
    """
    walk: AsyncGenerator[list[UserRecord], None] | None = None

    async def next_page() -> list[UserRecord] | None:
        nonlocal walk
        if walk is None:
            walk = store.walk(after=after, on_unreadable=on_unreadable)
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


def unreadable_lines(unreadable: dict[str, str]) -> bytes:
    """Return the report of what could not be read, in the form of an import's."""
    values = ({"id": key, "reasons": [{"field": "user", "message": why}]} for key, why in unreadable.items())
    return b"".join(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE) for value in values)


_EMPTY: Final = (
    "The store has no users, so nothing was written. Correct the URL of the user store, or give --allow-empty if the "
    "store is meant to be empty."
)


def _collector(unreadable: dict[str, str]) -> Callable[[Unreadable], None]:
    def collect(item: Unreadable) -> None:
        unreadable[item.id] = item.reason
        if len(unreadable) > MOST_UNREADABLE:
            raise MoveRefused(
                f"More than {MOST_UNREADABLE:,} documents of the store are not valid users ({item.reason} and others), "
                "so it is not a store of userline. Correct the URL of the user store."
            )

    return collect
