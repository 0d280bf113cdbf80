"""Can gateways hear each other?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.changes.examination import BusUnavailable, examine_bus
from userline.cli.doctor.clock import compare
from userline.cli.doctor.findings import advice, ok, problem

if TYPE_CHECKING:
    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings

_PART: Final = "bus"
_SLOW_SECONDS: Final = 0.05


async def examine(settings: Settings) -> list[Finding]:
    """Send a message through the bus."""
    try:
        facts = await examine_bus(settings.bus_url, prefix=settings.bus_prefix, app_id=settings.app_id)
    except BusUnavailable as error:
        return [
            problem(
                _PART,
                f"Nothing can be sent through Redis: {error.why.text}.",
                f"{error.why.advice} Until then gateways are not ready, and watchers hear of changes late.",
            )
        ]
    if facts is None:
        if settings.store_url.startswith("mongodb"):
            return [
                advice(
                    _PART,
                    "It is the memory:// bus, which is for one gateway, and others may use the same MongoDB.",
                    "If there is more than one gateway, set USERLINE_BUS_URL=redis://HOST:PORT for all of them.",
                )
            ]
        return [ok(_PART, "It is the memory:// bus, for one process.")]
    milliseconds = facts.round_trip * 1000
    findings = [ok(_PART, f"Redis {facts.version}: a message was heard {milliseconds:.1f} ms after it was sent.")]
    if facts.round_trip > _SLOW_SECONDS:
        findings.append(
            advice(
                _PART,
                f"A message takes {milliseconds:.0f} ms, and watchers on other gateways wait as long for a change.",
                "Run Redis nearer to the gateways.",
            )
        )
    if not facts.says_role:
        findings.append(
            advice(
                _PART,
                "Redis does not tell this user whether it is a master. What is published at a replica stays there.",
                "See that USERLINE_BUS_URL leads to the master, or let the user ask INFO (ACL SETUSER: +info).",
            )
        )
    if facts.seconds_ahead is not None:
        findings.append(compare("Redis", facts.seconds_ahead))
    return findings
