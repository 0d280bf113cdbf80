"""``userline import`` and ``userline export``."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from userline.gateway.cli_options import SettingsCommand, load, takes_settings
from userline.gateway.logs import configure_logging
from userline.moving.checkpoint import MoveRefused, fingerprint
from userline.moving.exporting import Exported, export_to_file, pages
from userline.moving.importing import Import, OnExisting, Outcome, Plan
from userline.moving.lines import encode_line
from userline.storage.factory import make_store
from userline.storage.protocol import StoreFormatError
from userline.users.errors import StoreUnavailable
from userline.users.replacement import Put

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from userline.gateway.settings import Settings
    from userline.storage.protocol import UserStore

_INTERRUPTED = 130
_GO_ON = "Run the same command again to go on from there."


@click.command("export", cls=SettingsCommand, short_help="Write all users into a file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option("--overwrite", is_flag=True, help="Write over a file that is there.")
@click.option("--restart", is_flag=True, help="Begin anew where a run was interrupted, instead of going on.")
@takes_settings
def export_users(file: Path, env_file: Path | None, *, overwrite: bool, restart: bool, **flags: Any) -> None:
    """Write all users of the store into FILE, one line of JSON each, private fields included, in order of id.

    "-" is standard output. Until it is complete the file has .part behind its name; an interrupted export goes on from
    there when it is run again. Nothing stops meanwhile: each user is as it was when its turn came.

    \b
    Examples:
      userline export users.jsonl
      userline export users.jsonl --store-url mongodb://db.example.com/userline
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    settings = load(env_file, flags)
    configure_logging("text", "warning")
    if str(file) == "-":
        _run(_export_to_stdout(settings))
        return
    if file.exists() and not overwrite:
        raise click.ClickException(f"{file} is there already. Name another file, or say --overwrite.")
    if restart:
        file.with_name(file.name + ".part").unlink(missing_ok=True)
    done = _run(_export(settings, file))
    if not done.complete:
        click.echo(f"Interrupted: {done.users:,} users are in {file}.part. {_GO_ON}", err=True)
        sys.exit(_INTERRUPTED)
    click.echo(f"{done.users:,} users are in {file}.", err=True)


@click.command("import", cls=SettingsCommand, short_help="Write the users of a file into the store.")
@click.argument("file", type=click.Path(exists=True, path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--on-existing",
    type=click.Choice([choice.value for choice in OnExisting]),
    default=OnExisting.REFUSE.value,
    show_default=True,
    help="What to do with a line whose user exists and is another: leave the user, replace it, or refuse the line.",
)
@click.option("--skip-refused", is_flag=True, help="Write the good lines although others are refused.")
@click.option("--dry-run", is_flag=True, help="Check the lines and write nothing.")
@click.option("--restart", is_flag=True, help="Begin anew where a run was interrupted, instead of going on.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write what is refused and why.  [default: FILE.refused.jsonl]",
)
@takes_settings
def import_users(  # noqa: PLR0913 - each is an option
    file: Path,
    env_file: Path | None,
    *,
    on_existing: OnExisting,
    skip_refused: bool,
    dry_run: bool,
    restart: bool,
    report: Path | None,
    **flags: Any,
) -> None:
    """Write the users in FILE, one line of JSON each as "userline export" writes them, into the store.

    First every line is checked by the rules of this gateway's settings; if one is refused, nothing is written and the
    report says why. A user who is there already, just so, is left alone. An interrupted import goes on where it was
    when it is run again. "-" is standard input, which cannot be gone on with. Ends with exit code 1 if a line is
    refused.

    \b
    Examples:
      userline import users.jsonl --dry-run
      userline import users.jsonl --on-existing skip --store-url mongodb://db.example.com/userline
      userline export - --store-url sqlite:///old.db | userline import - --store-url mongodb://localhost/userline
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    settings = load(env_file, flags)
    configure_logging("text", "warning")
    on_existing = OnExisting(on_existing)
    options = {"onExisting": on_existing, "skipRefused": skip_refused, "dryRun": dry_run}
    with _opened(file) as (source, opened):
        checkpoint = source and source.with_name(source.name + ".import.json")
        report = report or Path(f"{source or 'import'}.refused.jsonl")
        if restart and checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        status = os.fstat(opened.fileno())
        plan = Plan(
            source=source,
            file=opened,
            size=status.st_size,
            rules=settings.rules,
            on_existing=on_existing,
            skip_refused=skip_refused,
            dry_run=dry_run,
            report=report,
            checkpoint=checkpoint,
            identity={
                "size": status.st_size,
                "modified": status.st_mtime_ns,
                "store": fingerprint(settings.store_url),
                "report": str(report),
                **options,
            },
        )
        outcome, counts = _run(_import(settings, plan))
    _conclude(outcome, counts, plan)


def _conclude(outcome: Outcome, counts: Counter[str], plan: Plan) -> None:
    """Say what came of it, and end with the exit code."""
    refused = counts["refused"] + (counts[Put.KEPT] if plan.on_existing is OnExisting.REFUSE else 0)
    if outcome is Outcome.INTERRUPTED:
        hint = _GO_ON if plan.source else "Standard input is gone; import it again."
        click.echo(f"Interrupted. {hint}", err=True)
        sys.exit(_INTERRUPTED)
    lines = f"{counts['lines']:,} lines"
    if outcome is Outcome.DONE:
        click.echo(
            f"{lines}: {counts[Put.CREATED]:,} users created, {counts[Put.REPLACED]:,} replaced, "
            f"{counts[Put.SAME]:,} there already, {counts[Put.KEPT]:,} left as they were, {refused:,} lines refused.",
            err=True,
        )
    else:
        click.echo(f"{lines}, {refused:,} refused. Nothing was written.", err=True)
    if refused:
        click.echo(f"Why: {plan.report}", err=True)
        if outcome is Outcome.REFUSED:
            click.echo("Correct them, or import the others with --skip-refused.", err=True)
        sys.exit(1)


async def _import(settings: Settings, plan: Plan) -> tuple[Outcome, Counter[str]]:
    async with _store(settings) as (store, stop):
        work = Import(store, plan, stop=stop, screen=sys.stderr)
        if work.resumed_at:
            click.echo(f"Going on after line {work.resumed_at:,}.", err=True)
        return await work.run(), work.counts


async def _export(settings: Settings, file: Path) -> Exported:
    async with _store(settings) as (store, stop):
        identity: dict[str, object] = {"store": fingerprint(settings.store_url)}
        return await export_to_file(store, file, identity, stop=stop, screen=sys.stderr)


async def _export_to_stdout(settings: Settings) -> None:
    async with _store(settings) as (store, stop):
        async for page in pages(store):
            sys.stdout.buffer.write(b"".join(map(encode_line, page)))
            if stop.is_set():
                sys.exit(_INTERRUPTED)
        sys.stdout.buffer.flush()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[tuple[UserStore, asyncio.Event]]:
    """Open the store; yield it, and an event that the first SIGINT or SIGTERM sets. The second ends at once."""
    stop = asyncio.Event()
    loop, main = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    store = make_store(settings.store_url, settings.rules, mongodb_driver=settings.mongodb_driver)
    await store.open()
    try:
        yield store, stop
    finally:
        await store.close()


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Path | None, BinaryIO]]:
    """Yield the file's path, if it has one, and the file; standard input is copied first, because it is read twice."""
    if str(file) != "-":
        with file.open("rb") as opened:
            yield file, opened
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield None, copy


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end; what can go wrong ends as a sentence."""
    try:
        return asyncio.run(work)
    except (StoreUnavailable, StoreFormatError, MoveRefused) as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        sys.stdout = None  # or the interpreter complains of it as it ends
        sys.exit(_INTERRUPTED)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise click.ClickException(f"{error.strerror or error}{where}") from error
    except asyncio.CancelledError:
        sys.exit(_INTERRUPTED)
