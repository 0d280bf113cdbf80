"""``userline export``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from userline.cli.moving import (
    GO_ON,
    INTERRUPTED,
    check_standard,
    existing,
    run,
    stopping,
    store_files,
    store_of,
)
from userline.cli.options import SettingsCommand, load, takes_settings
from userline.moving.checkpoint import fingerprint
from userline.moving.exporting import Exported, ExportOptions, export_to_file, export_to_stream, unreadable_lines
from userline.moving.refusal_report import is_report
from userline.moving.streams import open_to_write
from userline.moving.targets import Targets
from userline.storage.files import write_whole
from userline.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from userline.settings.settings import Settings

_STANDARD_OUTPUT = 1
_MOST_SHOWN = 20


@click.command("export", cls=SettingsCommand)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--overwrite", is_flag=True, help="Replace an existing file, when the new one is complete.")
@click.option(
    "--restart", is_flag=True, help="Start again from the beginning after an interrupted run, instead of continuing it."
)
@click.option("--resume", is_flag=True, help="Continue an interrupted run even if it is older than a day.")
@click.option(
    "--allow-empty", is_flag=True, help="Allow the export of a store that has no users. Without this it is an error."
)
@click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Leave out documents or rows that are not valid users, and export the others.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write which ones cannot be read, and why.  [default: FILE.unreadable.jsonl]",
)
@takes_settings
def export_users(  # noqa: PLR0913 - each is an option
    file: Path,
    env_file: Path | None,
    *,
    overwrite: bool,
    restart: bool,
    resume: bool,
    allow_empty: bool,
    skip_unreadable: bool,
    report: Path | None,
    **flags: Any,
) -> None:
    """Write all users of the store into FILE, one line of JSON each, private fields included, in order of id.

    "-" is standard output. FILE may also be a pipe or a device. The export writes FILE.part, and renames it to FILE
    when it is complete; an existing FILE stays until then. Run an interrupted export again, and it continues. Gateways
    may run and write at the same time: each user is exported as it is when it is read.

    Exit codes: 0 all users were written; 1 nothing was written, or some users could not be read; 2 the command line or
    the settings are not valid; 130 interrupted.

    \b
    Examples:
      userline export users.jsonl
      userline export users.jsonl --store-url mongodb://db.example.com/userline
      userline export - | gzip > users.jsonl.gz
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    if restart and resume:
        raise click.UsageError("Give --restart or --resume, not both.")
    check_standard(file, _STANDARD_OUTPUT)
    settings = load(env_file, flags)
    configure_logging("text", "warning")
    options = ExportOptions(
        overwrite=overwrite,
        resume=resume,
        restart=restart,
        allow_empty=allow_empty,
        skip_unreadable=skip_unreadable,
        tell_unreadable=True,
    )
    run(_export(settings, file, report, options))


async def _export(settings: Settings, file: Path, report: Path | None, options: ExportOptions) -> None:
    store = store_of(settings)
    targets = Targets(store_files(store))
    async with stopping() as stop:
        is_output = str(file) == "-"
        is_stream = is_output or targets.opens_as_stream(file)
        target = None if is_stream else targets.check(file, overwrite=options.overwrite)
        if report is not None:
            report = targets.check(report, overwrite=options.overwrite)
        elif target is not None:
            report = file.with_name(file.name + ".unreadable.jsonl")
            report = targets.check(report, overwrite=is_report(report), advice="for it with --report")
        if is_output:
            targets.check_descriptor(_STANDARD_OUTPUT)
        async with existing(store):
            if target is not None:
                identity: dict[str, object] = {"store": fingerprint(settings.store_url)}
                done = await export_to_file(store, target, identity, stop=stop, screen=sys.stderr, options=options)
            else:
                is_output = is_output or os.path.samestat(file.stat(), os.fstat(_STANDARD_OUTPUT))  # noqa: ASYNC240
                descriptor = os.dup(_STANDARD_OUTPUT) if is_output else await open_to_write(file, stop)
                try:
                    done = await export_to_stream(store, descriptor, stop=stop, options=options)
                finally:
                    os.close(descriptor)
    if done.unreadable and report is not None:
        write_whole(report, unreadable_lines(done.unreadable))
    _conclude(done, target, report, options)


def _conclude(done: Exported, target: Path | None, report: Path | None, options: ExportOptions) -> None:
    """Say what came of it, and end with the exit code."""
    refused = bool(done.unreadable) and not options.skip_unreadable and target is not None
    if not done.complete and not refused:
        where = f"{done.users:,} users are in {target}.part. {GO_ON}" if target else "Not all users were written."
        click.echo(f"Interrupted: {where}", err=True)
        sys.exit(INTERRUPTED)
    if done.complete and target is not None:
        click.echo(f"{done.users:,} users are in {target}.", err=True)
    if not done.unreadable:
        return
    click.echo(f"{len(done.unreadable):,} entries of the store cannot be read as users.", err=True)
    if report is not None:
        click.echo(f"Which, and why: {report}", err=True)
    for reason in [*done.unreadable.values()][: 0 if report else _MOST_SHOWN]:
        click.echo(reason, err=True)
    if refused:
        click.echo(
            f"Nothing was written to {target}. Correct or delete them, or export the others with --skip-unreadable.",
            err=True,
        )
    sys.exit(1)
