"""``userline delete``."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from userline.changes.bus import Bus
from userline.cli.moving import INTERRUPTED, check_standard, existing, run, stopping, store_of
from userline.cli.options import SettingsCommand, load, takes_settings
from userline.moving.deleting import delete_all, read_ids
from userline.moving.progress import Progress
from userline.telemetry.logs import configure_logging
from userline.users.errors import UserlineError
from userline.users.patch import parse_id
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from userline.settings.settings import Settings


class _Source(click.File):
    """A file to read; standard input has to be open."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open the file."""
        check_standard(value, 0)
        return super().convert(value, param, ctx)


@click.command("delete", cls=SettingsCommand)
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--from",
    "source",
    type=_Source("rb"),
    help='Also delete the users whose ids are in this file; "-" = standard input.',
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation on a terminal.")
@takes_settings
def delete_users(
    ids: tuple[str, ...], source: BinaryIO | None, env_file: Path | None, *, yes: bool, **flags: Any
) -> None:
    """Delete the users with these IDs from the store permanently, and publish the deletions on the bus.

    No personal data stays in the store. docs/operations/moving.md says what stays, and what to do about exports and
    backups. A file has one id per line, as plain text or as JSON, or it is an export; it may be empty. It is not an
    error if a user does not exist, so the same command can be run again. Gateways that the bus does not reach notice
    the deletion when they read the user again, within USERLINE_REREAD_SECONDS.

    Exit codes: 0 none of these users exists any more; 1 there was an error, and some users may still exist; 2 the
    command line, the file or the settings are not valid, and nothing was deleted; 130 interrupted.

    \b
    Examples:
      userline delete alice bob
      userline delete --yes -- -id-with-a-dash
      userline delete --from gone.txt --store-url mongodb://db.example.com/userline --bus-url redis://bus.example.com
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    wanted = _wanted(ids, source)
    settings = load(env_file, flags)
    configure_logging("text", "error")
    if not wanted:
        click.echo("There are no ids in the file: nothing to delete.", err=True)
        return
    if not yes and sys.stdin is not None and sys.stdin.isatty() and source is not sys.stdin.buffer:
        click.confirm(f"Delete {_users(len(wanted))} permanently?", abort=True, err=True)
    run(_delete(settings, wanted))


def _wanted(ids: Sequence[str], source: BinaryIO | None) -> list[str]:
    """Return the ids, each once, or end with a sentence."""
    try:
        wanted = [parse_id(user_id) for user_id in ids]
    except UserlineError as error:
        raise click.BadParameter(error.message, param_hint="ID") from None
    if source is not None:
        try:
            wanted += read_ids(source)
        except UserlineError as error:
            raise click.BadParameter(error.message, param_hint="--from") from None
        except OSError as error:
            raise click.FileError(source.name, error.strerror) from None
    elif not wanted:
        raise click.UsageError("No users are given. Give their ids, or a file with ids by --from.")
    return list(dict.fromkeys(wanted))


async def _delete(settings: Settings, ids: list[str]) -> None:
    bus = Bus(settings.bus_url, app_id=settings.app_id, prefix=settings.bus_prefix)
    seen = deleted = 0
    async with stopping() as stop, existing(store_of(settings)) as store:
        if bus.is_shared:
            await bus.start(lambda _: None)
        try:
            progress = Progress(sys.stderr, "deleting", len(ids))
            async with aclosing(delete_all(store, ids, stop=stop)) as batches:
                async for done in batches:
                    for user_id, result in done.items():
                        deleted += result.deleted
                        # Told also of those who were deleted before: some gateway may not have heard of it.
                        if bus.is_shared and result.version:
                            bus.publish(Deletion(user_id, result.version))
                    seen += len(done)
                    progress.show(seen, seen)
            progress.finish(seen, seen)
        finally:
            if bus.is_shared:
                await bus.stop()
    click.echo(f"{_users(deleted)} deleted, {seen - deleted:,} did not exist.", err=True)
    if bus.waiting:
        click.echo(
            f"The bus is not available: the deletion of {_users(bus.waiting)} could not be published. Gateways notice "
            f"it when they read these users again, within {settings.reread_seconds:g} s.",
            err=True,
        )
    if seen < len(ids):
        click.echo("Interrupted. Run the same command again to delete the others.", err=True)
        sys.exit(INTERRUPTED)


def _users(count: int) -> str:
    return f"{count:,} user{'' if count == 1 else 's'}"
