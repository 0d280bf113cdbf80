"""Common parts of the commands that export, import, delete or back up users: the store, signals, and exit codes."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from userline.moving.checkpoint import MoveRefused
from userline.storage.factory import make_store
from userline.storage.protocol import StoreFormatError, StoreMissing
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.file import files_of
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from userline.settings.settings import Settings
    from userline.storage.protocol import UserStore

INTERRUPTED: Final = 130
"""The exit code after SIGINT or SIGTERM."""

GO_ON: Final = "Run the same command again to continue from there."

_WHO_MAY: Final = "Give this user the right to write there, or name another file."
_HINTS: Final = {
    errno.ENOSPC: "Free some disk space, and try again.",
    errno.EDQUOT: "Free some space within the quota, and try again.",
    errno.EFBIG: "Raise the limit of the size of files (ulimit -f), and try again.",
    errno.EACCES: _WHO_MAY,
    errno.EPERM: _WHO_MAY,
    errno.EROFS: _WHO_MAY,
    errno.EEXIST: "Name another file, or give --overwrite.",
    errno.ENAMETOOLONG: "Use a shorter file name.",
    errno.ELOOP: "Name the file itself.",
}


def store_of(settings: Settings) -> UserStore:
    """Return the store of the settings, still to be opened."""
    return make_store(
        settings.store_url, settings.rules, mongodb_driver=settings.mongodb_driver, file_mode=settings.file_mode
    )


def store_files(store: UserStore) -> dict[Path, str]:
    """Return the files that are the store, there or not, and what to call them."""
    if not isinstance(store, SQLiteUserStore):
        return {}
    database, *beside = files_of(store.path)
    return {database: "the user store"} | dict.fromkeys(beside, "a file of the user store")


@asynccontextmanager
async def stopping() -> AsyncIterator[asyncio.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets. The second ends at once."""
    stop = asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    yield stop


@asynccontextmanager
async def existing(store: UserStore) -> AsyncIterator[UserStore]:
    """Open a store that is there, and create none. Raises StoreMissing."""
    await store.open(create=False)
    try:
        yield store
    finally:
        await store.close()


def check_standard(file: Path | str, descriptor: int) -> None:
    """If ``file`` is "-", see to it that the standard stream is there."""
    name, stream = ("input", sys.stdin) if descriptor == 0 else ("output", sys.stdout)
    if str(file) == "-" and stream is None:
        raise click.ClickException(f"Standard {name} is closed. Name a file, or open it.")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end; what can go wrong ends as a sentence."""
    try:
        return asyncio.run(work)
    except (StoreUnavailable, StoreFormatError, StoreMissing, MoveRefused) as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        sys.stdout = None  # or the interpreter complains of it as it ends
        click.echo("The program that read the output ended before the export did.", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        raise click.ClickException(_sentence(error)) from error
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(INTERRUPTED)


def _sentence(error: OSError) -> str:
    """Return what the system says, where, and what to do about it."""
    what = error.strerror or str(error).rstrip(".") or type(error).__name__
    hint = _HINTS.get(error.errno or 0, "")
    return f"{what}{f': {error.filename}' if error.filename else ''}. {hint}".rstrip()
