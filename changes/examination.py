"""Facts about a bus, for ``userline doctor``."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.changes.channels import channel_of
from userline.changes.explanations import explain
from userline.changes.factory import kind_of, make_backend
from userline.changes.protocol import Explanation, NotHeardError

if TYPE_CHECKING:
    from userline.changes.protocol import Backend, LinkFacts

_SECONDS: Final = 3.0


class BusUnavailable(Exception):
    """The bus cannot carry messages. ``why`` says why and what to do, without a password."""

    def __init__(self, kind: str, why: Explanation) -> None:
        self.kind = kind
        self.why = why
        super().__init__(str(why))


@dataclass(frozen=True, slots=True)
class BusFacts:
    """Facts about a bus that was joined."""

    kind: str
    """What people call it: "Redis"."""
    link: LinkFacts
    round_trip: float
    """Seconds from publishing a message to hearing it."""


async def examine_bus(url: str, *, prefix: str, app_id: str) -> BusFacts | None:
    """Send a message through the bus and hear it; None for a bus within one process. Raises BusUnavailable.

    It goes by a channel such as gateways send their heartbeats by, as a user of Redis may be allowed no others.
    """
    kind = kind_of(url)
    if not kind.is_shared:
        return None
    backend = make_backend(url)
    try:
        async with asyncio.timeout(_SECONDS):
            link, round_trip = await _examine(backend, channel_of(prefix, app_id, "echo-" + secrets.token_hex(8)))
    except Exception as error:  # noqa: BLE001 - what answers there may be anything
        raise BusUnavailable(kind.name, explain(backend, error)) from None
    finally:
        await backend.close()
    return BusFacts(kind.name, link, round_trip)


async def _examine(backend: Backend, channel: str) -> tuple[LinkFacts, float]:
    link = await backend.join([channel])
    try:
        started = time.perf_counter()
        await link.publish(channel, b"Do you hear me?")
        try:
            async with asyncio.timeout(_SECONDS / 2):
                while await link.hear(None) is None:
                    pass
        except TimeoutError:
            raise NotHeardError from None
        round_trip = time.perf_counter() - started
        return await link.facts(), round_trip
    finally:
        await link.close()
