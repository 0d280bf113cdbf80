"""The TypeScript client passes the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clients.conformance.tests.passing import see_that_it_passes

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


async def test_it_does_what_the_document_says(typescript: list[str], gateway: RunningGateway) -> None:
    await see_that_it_passes(typescript, gateway)
