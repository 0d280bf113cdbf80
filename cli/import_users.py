"""``userline import``."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from userline.cli.moving import GO_ON, INTERRUPTED, check_standard, run, stopping, store_files, store_of
from userline.cli.options import SettingsCommand, load, takes_settings
from userline.moving.checkpoint import Checkpoint, MoveRefused, fingerprint
from userline.moving.importing import Import, ImportOutcome, ImportPlan, OnDeleted, OnExisting
from userline.moving.refusal_report import is_report
from userline.moving.streams import read_stream
from userline.moving.targets import Targets, is_descriptor
from userline.storage.protocol import StoreMissing
from userline.telemetry.logs import configure_logging
from userline.users.replacement import Put

if TYPE_CHECKING:
    import asyncio
    from collections import Counter
    from collections.abc import AsyncIterator

    from userline.settings.settings import Settings
    from userline.storage.protocol import UserStore

_STANDARD_INPUT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The options of the command line."""

    file: Path
    on_existing: OnExisting
    on_deleted: OnDeleted
    skip_refused: bool
    dry_run: bool
    restart: bool
    overwrite: bool
    report: Path | None


@click.command("import", cls=SettingsCommand)
@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--on-existing",
    type=click.Choice([choice.value for choice in OnExisting]),
    default=OnExisting.REFUSE.value,
    show_default=True,
    help="What to do if a user already exists with other values: keep the stored user, replace it, or refuse the line.",
)
@click.option(
    "--on-deleted",
    type=click.Choice([choice.value for choice in OnDeleted]),
    default=OnDeleted.REFUSE.value,
    show_default=True,
    help="What to do if a user was deleted after the export: keep it deleted, restore it, or refuse the line.",
)
@click.option("--skip-refused", is_flag=True, help="Write the valid lines even if others are refused.")
@click.option("--dry-run", is_flag=True, help="Check the lines and write nothing.")
@click.option(
    "--restart", is_flag=True, help="Start again from the beginning after an interrupted run, instead of continuing it."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the refused lines and the reasons.  [default: FILE.refused.jsonl]",
)
@click.option("--overwrite", is_flag=True, help="Let the report replace an existing file.")
@takes_settings
def import_users(env_file: Path | None, **given: Any) -> None:
    """Write the users in FILE, one line of JSON each as "userline export" writes them, into the store.

    First every line is checked by the rules in the settings. If one line is refused, nothing is written, and the report
    has the reason. A user who exists already with the same values is not written. A line of a user who was deleted
    after the export is refused; --on-deleted restore creates such users again. Run an interrupted import again, and it
    continues. "-" is standard input. Input from there or from a pipe is copied into TMPDIR first, and such an import
    cannot be continued.

    Exit codes: 0 all lines were imported; 1 a line was refused, or there was an error; 2 the command line or the
    settings are not valid; 130 interrupted.

    \b
    Examples:
      userline import users.jsonl --dry-run
      userline import users.jsonl --on-existing skip --store-url mongodb://db.example.com/userline
      zcat users.jsonl.gz | userline import -
      userline export - --store-url sqlite:///old.db | userline import - --store-url mongodb://localhost/userline
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    chosen = {name: given.pop(name) for name in _Options.__dataclass_fields__}
    choices = {"on_existing": OnExisting(chosen["on_existing"]), "on_deleted": OnDeleted(chosen["on_deleted"])}
    options = _Options(**chosen | choices)
    check_standard(options.file, _STANDARD_INPUT)
    settings = load(env_file, given)
    configure_logging("text", "warning")
    run(_import(settings, options))


async def _import(settings: Settings, options: _Options) -> None:
    store = store_of(settings)
    async with stopping() as stop, _opened(options.file, store, stop) as (source, file):
        plan = _plan(settings, options, store, source, file)
        is_there = True
        try:
            await store.open(create=False)
        except StoreMissing:
            is_there = False
        try:
            work = Import(store, plan, stop=stop, screen=sys.stderr, is_there=is_there)
            if work.resumed_at:
                click.echo(f"Continuing after line {work.resumed_at:,}.", err=True)
            outcome = await work.run()
        finally:
            await store.close()
        _conclude(outcome, work.counts, plan)


def _plan(settings: Settings, options: _Options, store: UserStore, source: Path | None, file: BinaryIO) -> ImportPlan:
    """Return what is to be done. Raises MoveRefused if a file that is to be written stands for something else."""
    taken = store_files(store)
    checkpoint = source and source.with_name(source.name + ".import.json")
    known = None
    if source is not None and checkpoint is not None:
        taken |= {source: "the file that is imported", checkpoint: "where the import keeps its place"}
        known = Checkpoint.load(checkpoint)
        if not os.access(source.parent, os.W_OK | os.X_OK):
            raise MoveRefused(
                f"This user may not write the directory of {source}, where an import stores its progress. Copy the "
                f"file to another directory, or run: userline import - < {source}"
            )
    report = options.report or Path(f"{source or 'import'}.refused.jsonl")
    is_of_this_import = known is not None and known.identity.get("report") == str(report)
    overwrite = options.overwrite or ((is_of_this_import or options.report is None) and is_report(report))
    advice = "or give --overwrite" if options.report else "for the report with --report, or give --overwrite"
    target = Targets(taken).check(report, overwrite=overwrite, advice=advice)
    if options.restart and checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    status = os.fstat(file.fileno())
    return ImportPlan(
        source=source,
        file=file,
        size=status.st_size,
        rules=settings.rules,
        on_existing=options.on_existing,
        on_deleted=options.on_deleted,
        skip_refused=options.skip_refused,
        dry_run=options.dry_run,
        report=target,
        checkpoint=checkpoint,
        identity={
            "size": status.st_size,
            "modified": status.st_mtime_ns,
            "store": fingerprint(settings.store_url),
            "report": str(report),
            "onExisting": options.on_existing,
            "onDeleted": options.on_deleted,
            "skipRefused": options.skip_refused,
            "dryRun": options.dry_run,
        },
        overwrite_report=overwrite,
    )


def _conclude(outcome: ImportOutcome, counts: Counter[str], plan: ImportPlan) -> None:
    """Say what came of it, and end with the exit code."""
    kept = 0 if plan.on_existing is OnExisting.REFUSE else counts[Put.KEPT]
    deleted = 0 if plan.on_deleted is OnDeleted.REFUSE else counts[Put.DELETED]
    refused = counts["refused"] + counts[Put.KEPT] - kept + counts[Put.DELETED] - deleted
    if outcome is ImportOutcome.INTERRUPTED:
        hint = GO_ON if plan.source else "The input that was read so far is not kept. Import it again."
        click.echo(f"Interrupted. {hint}", err=True)
        sys.exit(INTERRUPTED)
    lines = f"{counts['lines']:,} lines"
    if outcome is ImportOutcome.DONE:
        away = f"{deleted:,} left deleted, " if deleted else ""
        click.echo(
            f"{lines}: {counts[Put.CREATED]:,} users created, {counts[Put.REPLACED]:,} replaced, "
            f"{counts[Put.SAME]:,} there already, {kept:,} left as they were, {away}{refused:,} lines "
            "refused.",
            err=True,
        )
    else:
        click.echo(f"{lines}, {refused:,} refused. Nothing was written.", err=True)
    if refused:
        click.echo(f"Why: {plan.report}", err=True)
        if outcome is ImportOutcome.REFUSED:
            click.echo("Correct them, or import the others with --skip-refused.", err=True)
            if counts["refused_as_deleted"]:
                click.echo("Users who were deleted later are restored only with --on-deleted restore.", err=True)
        sys.exit(1)


@asynccontextmanager
async def _opened(path: Path, store: UserStore, stop: asyncio.Event) -> AsyncIterator[tuple[Path | None, BinaryIO]]:
    """Yield the file's path, if it is a file, and the file; what comes from a pipe is copied, because it is read twice.

    Raises MoveRefused if it is the store: to close it, once read, would give up the locks on it.
    """
    Targets(store_files(store)).check_source(path, _STANDARD_INPUT)
    status = os.fstat(_STANDARD_INPUT) if str(path) == "-" else path.stat()  # noqa: ASYNC240 - before anything begins
    is_input = str(path) == "-" or is_descriptor(status, _STANDARD_INPUT)
    if not is_input and stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            yield path, file
        return
    if not is_input and not stat.S_ISFIFO(status.st_mode):
        raise MoveRefused(f"{path} is neither a file nor a pipe. Name a file or a pipe, or - for standard input.")
    descriptor = os.dup(_STANDARD_INPUT) if is_input else os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with tempfile.TemporaryFile() as copy:
        try:
            await read_stream(descriptor, copy, stop)
        except OSError as error:
            raise MoveRefused(
                f"The input is first copied into {tempfile.gettempdir()}, and that failed: {error.strerror}. Set "
                "TMPDIR to a directory with free space, or write the input into a file and import that file."
            ) from error
        finally:
            os.close(descriptor)
        if stop.is_set():
            click.echo("Interrupted. Nothing was written.", err=True)
            sys.exit(INTERRUPTED)
        copy.seek(0)
        yield None, copy
