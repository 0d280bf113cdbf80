"""Sets the results of futures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future


def settle(future: Future[Any], outcome: object) -> None:
    """Give a future its result, or its exception if ``outcome`` is one; nothing if nobody waits for it any more."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
