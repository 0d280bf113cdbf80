"""What the tests of each client's run share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clients.conformance.known import environment
from clients.conformance.run import run
from clients.conformance.table import cases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.gateway import RunningGateway


async def see_that_it_passes(command: Sequence[str], gateway: RunningGateway) -> None:
    """See that a client passes all cases that its driver can run."""
    wanted = cases()
    report = await run(command, wanted, environment=environment(os.environ), real=gateway.websocket_url)
    assert not report.failed, "\n\n".join(map(str, report.failed))
    assert len(report.passed) + len(report.left_out) == len(wanted) > 200
