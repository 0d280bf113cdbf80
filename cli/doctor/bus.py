"""Checks whether gateways can exchange messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.changes.examination import BusUnavailable, examine_bus
from userline.changes.factory import SHARED_EXAMPLES
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
                f"Nothing can be sent through {error.kind}: {error.why.text}.",
                f"{error.why.advice} Until then gateways are not ready, and watchers see changes late.",
            )
        ]
    if facts is None:
        if settings.store_url.startswith("mongodb"):
            return [
                advice(
                    _PART,
                    "It is the memory:// bus, which is for one gateway only, but several gateways may use the same "
                    "MongoDB.",
                    f"If there is more than one gateway, set USERLINE_BUS_URL={SHARED_EXAMPLES} for all of them.",
                )
            ]
        return [ok(_PART, "It is the memory:// bus, for one process.")]
    milliseconds = facts.round_trip * 1000
    findings = [ok(_PART, f"{facts.link.server}: a message was heard {milliseconds:.1f} ms after it was sent.")]
    if facts.round_trip > _SLOW_SECONDS:
        findings.append(
            advice(
                _PART,
                f"A message takes {milliseconds:.0f} ms. Watchers on other gateways see every change with that delay.",
                f"Run {facts.kind} on a machine with a faster connection to the gateways.",
            )
        )
    findings += [advice(_PART, text, what_to_do) for text, what_to_do in facts.link.remarks]
    if facts.link.seconds_ahead is not None:
        findings.append(compare(facts.kind, facts.link.seconds_ahead))
    return findings
