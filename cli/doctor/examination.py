"""Runs all checks, one after the other."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from userline.cli.doctor import bus
from userline.cli.doctor.clock import examine_clock
from userline.cli.doctor.findings import advice, ok, problem
from userline.cli.doctor.machine import examine_addresses, examine_backlog, examine_files
from userline.cli.doctor.others import examine_others
from userline.cli.doctor.store import examine_store
from userline.cli.doctor.tokens import examine_tokens
from userline.execution.trusted import TrustedDocumentsError
from userline.gateway.auth.keys import OutgoingError
from userline.gateway.graphiql.page import static_directory
from userline.gateway.runtime import Runtime
from userline.settings.checks import is_loopback
from userline.settings.origins import shown
from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings, unknown_variables
from userline.storage.factory import make_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings


async def examine(
    flags: Mapping[str, Any], env_file: Path | None, gateways: Sequence[str] = ()
) -> AsyncIterator[Finding]:
    """Yield what is found with these settings. Where they are not valid, nothing else is looked at.

    With the addresses of other gateways, they are compared with those.
    """
    try:
        settings = load_settings(flags, env_file)
    except SettingsError as error:
        for text in error.problems:
            yield problem("settings", text, 'Correct it. "userline settings" shows every value and where it is set.')
        return
    for finding in _examine_settings(settings):
        yield finding
    yield examine_clock()
    for part, look in (
        ("store", _examine_store),
        ("bus", bus.examine),
        ("tokens", examine_tokens),
        ("machine", _examine_machine),
        ("graphiql", _examine_graphiql),
        ("gateways", partial(examine_others, addresses=gateways)),
    ):
        for finding in await _looked_at(part, look(settings)):
            yield finding


async def _looked_at(part: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    """Return what is found of a part, or that it cannot be looked at."""
    try:
        return await look
    except Exception as error:  # noqa: BLE001 - one part that surprises us must not hide what is wrong with the others
        text = shown(f"{type(error).__name__}: {error}")
        return [problem(part, f"It cannot be examined: {text}", "Please report this as an error of userline doctor.")]


async def _examine_store(settings: Settings) -> list[Finding]:
    try:
        runtime = Runtime(settings)
    except OutgoingError:
        store = make_store(settings.store_url, settings.rules, mongodb_driver=settings.mongodb_driver)
    except (TrustedDocumentsError, ValueError) as error:
        return [problem("settings", str(error), "Correct it. The gateway does not start with this value.")]
    else:
        store = runtime.store
    return [finding async for finding in examine_store(settings, store)]


async def _examine_machine(settings: Settings) -> list[Finding]:
    found = [*examine_addresses(settings), examine_files(settings), examine_backlog()]
    return [finding for finding in found if finding is not None]


def _examine_settings(settings: Settings) -> list[Finding]:
    places = [place for place in settings.origins.of_fields.values() if place != "default"]
    findings = [ok("settings", f"They are valid; {len(places)} {'is' if len(places) == 1 else 'are'} set.")]
    findings += [
        advice("settings", warning, "Correct the name, or remove the variable.")
        for warning in unknown_variables(settings)
    ]
    if settings.env == "development" and not all(map(is_loopback, settings.hosts)):
        findings.append(
            advice(
                "settings",
                f"The gateway listens on {settings.host}, which other machines can reach, but its USERLINE_ENV is "
                "development.",
                "If it is for production, set USERLINE_ENV=production. Then it never runs without checking tokens.",
            )
        )
    return findings


async def _examine_graphiql(settings: Settings) -> list[Finding]:
    if not settings.graphiql:
        return [ok("graphiql", "It is not served.")]
    if static_directory().is_dir():
        return [ok("graphiql", "Its page is built.")]
    return [
        advice(
            "graphiql",
            "Its page is not built: browsers that open /graphql get an error.",
            "Build it with make graphiql, or set USERLINE_GRAPHIQL=false.",
        )
    ]
