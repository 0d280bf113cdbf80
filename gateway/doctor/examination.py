"""Looks at everything, one part after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.execution.trusted import TrustedDocumentsError
from userline.gateway.doctor import bus
from userline.gateway.doctor.clock import examine_clock
from userline.gateway.doctor.findings import advice, ok, problem
from userline.gateway.doctor.machine import examine_address, examine_backlog, examine_files
from userline.gateway.doctor.store import examine_store
from userline.gateway.doctor.tokens import examine_tokens
from userline.gateway.graphiql.page import static_directory
from userline.gateway.runtime import Runtime
from userline.gateway.settings import load_settings, settings_warnings, sources
from userline.gateway.settings_checks import SettingsError, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from typing import Any

    from userline.gateway.doctor.findings import Finding
    from userline.gateway.settings import Settings


async def examine(flags: Mapping[str, Any], env_file: Path | None) -> AsyncIterator[Finding]:
    """Yield what is found with these settings. Where they are not valid, nothing else is looked at."""
    try:
        settings = load_settings(flags, env_file)
    except SettingsError as error:
        for text in error.problems:
            yield problem("settings", text, 'Correct it; "userline settings" shows what is set, and by what.')
        return
    for finding in _examine_settings(settings):
        yield finding
    yield examine_clock()
    try:
        runtime = Runtime(settings)
    except (TrustedDocumentsError, ValueError) as error:
        yield problem("settings", str(error), "Correct it; the gateway does not start like this.")
    else:
        async for finding in examine_store(settings, runtime.store):
            yield finding
    for found in (await bus.examine(settings), await examine_tokens(settings)):
        for finding in found:
            yield finding
    yield examine_address(settings)
    yield examine_files(settings)
    backlog = examine_backlog()
    if backlog is not None:
        yield backlog
    yield _examine_graphiql(settings)


def _examine_settings(settings: Settings) -> list[Finding]:
    places = [place for place in sources(settings).values() if place != "default"]
    findings = [ok("settings", f"They are valid; {len(places)} {'is' if len(places) == 1 else 'are'} set.")]
    findings += [
        advice("settings", warning, "Correct the name, or remove the variable.")
        for warning in settings_warnings(settings)
    ]
    if settings.env == "development" and not is_loopback(settings.host):
        findings.append(
            advice(
                "settings",
                f"The gateway listens on {settings.host}, which others reach, and its USERLINE_ENV is development.",
                "Where it is for production, set USERLINE_ENV=production: it then never runs open.",
            )
        )
    return findings


def _examine_graphiql(settings: Settings) -> Finding:
    if not settings.graphiql:
        return ok("graphiql", "It is not served.")
    if static_directory().is_dir():
        return ok("graphiql", "Its page is built.")
    return advice(
        "graphiql",
        "Its page is not built, so that browsers that open /graphql get an error.",
        "Build it with make graphiql, or set USERLINE_GRAPHIQL=false.",
    )
