"""The TypeScript client passes the table, file by file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from clients.conformance.table import FILES
from clients.conformance.tests.passing import see_that_it_passes

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


@pytest.mark.parametrize("file", FILES)
async def test_it_does_what_the_document_says(typescript: list[str], gateway: RunningGateway, file: str) -> None:
    await see_that_it_passes(typescript, file, gateway)
