"""``userline doctor``."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from userline.cli.options import SettingsCommand, given, takes_settings
from userline.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=SettingsCommand)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option(
    "--gateway",
    "gateways",
    multiple=True,
    metavar="URL",
    help="Compare with the gateway that serves its metrics at this URL, such as http://10.0.0.5:8000. May be repeated.",
)
@takes_settings
def doctor(env_file: Path | None, *, as_json: bool, gateways: tuple[str, ...], **flags: Any) -> None:
    """Look at the settings, the store, the bus, clocks, tokens and this machine; say what is wrong and what to do.

    Takes the flags of "userline serve", to check what it would do. It can be used while gateways run: in MongoDB it
    writes one document and deletes it, and on the bus it sends one message to itself. The exit code is 1 if there is a
    problem, and 0 if there is only advice.

    With --gateway it also reads the metrics of other gateways of the deployment, and says which settings differ.
    """
    from userline.cli.doctor.examination import examine  # noqa: PLC0415 - the other commands need none of it
    from userline.cli.doctor.findings import is_healthy, to_json, to_text  # noqa: PLC0415 - as above

    configure_logging("text", "warning")

    async def collect() -> list[Any]:
        return [finding async for finding in examine(given(flags), env_file, gateways)]

    findings = asyncio.run(collect())
    click.echo(to_json(findings) if as_json else to_text(findings), nl=False)
    sys.exit(0 if is_healthy(findings) else 1)
