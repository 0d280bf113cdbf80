"""Makes a script that finds something as short as it can be made soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.conformance.chance.play import Fault, Table
    from clients.conformance.chance.script import Step

_ATTEMPTS = 80
_BEGINNING = 4
"""The first steps are not left out: they open sessions."""


async def shrink(table: Table, script: list[Step], fault: Fault) -> tuple[list[Step], Fault]:
    """Leave out steps as long as something is found; return what is left, and what it finds."""
    script = script[: fault.number + 1]
    attempts = 0
    size = max(len(script) // 2, 1)
    while attempts < _ATTEMPTS:
        place, before = len(script), len(script)
        while place > _BEGINNING and attempts < _ATTEMPTS:
            first = max(place - size, _BEGINNING)
            shorter = script[:first] + script[place:]
            attempts += 1
            found = await table.play(shorter)
            if found is not None:
                script, fault = shorter[: found.number + 1], found
            place = min(first, len(script))
        if size == 1 and len(script) == before:
            break
        size = max(size // 2, 1)
    return script, fault
