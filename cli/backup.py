"""``userline backup``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from userline.cli.moving import INTERRUPTED, run, stopping, store_files, store_of
from userline.cli.options import SettingsCommand, load, takes_settings
from userline.moving.checkpoint import MoveRefused
from userline.moving.progress import Progress
from userline.moving.targets import Targets
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.backup import BackupStopped, back_up
from userline.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from userline.settings.settings import Settings

_PAGES_A_MIB = 256  # of SQLite's 4 KiB


@click.command(cls=SettingsCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--overwrite", is_flag=True, help="Replace an existing file, when the new one is complete.")
@takes_settings
def backup(file: Path, env_file: Path | None, *, overwrite: bool, **flags: Any) -> None:
    """Copy the SQLite store into FILE, which is then a database with all writes that were acknowledged before.

    Gateways may run and write at the same time. The copy is checked, and only its owner may read it. FILE is replaced
    only when the copy is complete. To restore a backup, stop all gateways, put it in the place of the store, delete the
    files whose names end with -wal and -shm, and start the gateways again. For MongoDB use mongodump. "userline export"
    writes a file that can be imported into any store.

    Exit codes: 0 FILE is the backup; 1 there was an error, and FILE was not changed; 2 the command line or the
    settings are not valid; 130 interrupted.

    \b
    Examples:
      userline backup userline-backup.db
      userline backup /backup/userline.db --overwrite --store-url sqlite:////var/lib/userline/userline.db
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    settings = load(env_file, flags)
    configure_logging("text", "warning")
    run(_backup(settings, file, overwrite=overwrite))


async def _backup(settings: Settings, file: Path, *, overwrite: bool) -> None:
    store = store_of(settings)
    if not isinstance(store, SQLiteUserStore):
        raise MoveRefused(
            "userline backup copies a SQLite store, but this store is in MongoDB. Use mongodump, or write all users "
            "into a file with userline export."
        )
    if str(file) == "-":
        raise MoveRefused(
            "A backup is written to a file, not to standard output. Name a file, or write users to standard output "
            "with userline export -."
        )
    target = Targets(store_files(store)).check(file, overwrite=overwrite)
    progress = Progress(sys.stderr, "copying", 0, unit="MiB")
    async with stopping() as stop:

        def show(done: int, total: int) -> None:
            progress.total = total
            progress.show(done, done // _PAGES_A_MIB)

        try:
            users = await asyncio.to_thread(
                back_up, store.path, target, overwrite=overwrite, show=show, is_stopped=stop.is_set
            )
        except BackupStopped:
            click.echo(f"Interrupted. Nothing was written to {file}.", err=True)
            sys.exit(INTERRUPTED)
    progress.finish(progress.total, progress.total // _PAGES_A_MIB)
    click.echo(f"{users:,} users are in {file}. The file was checked.", err=True)
