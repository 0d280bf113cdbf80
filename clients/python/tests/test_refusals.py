"""What the gateway refuses: told as an error, or tried again, and never for ever."""

from __future__ import annotations

from typing import Any

import pytest

from userline_client import (
    Backoff,
    RateLimited,
)

PASSING = ["STORE_UNAVAILABLE", "RATE_LIMITED"]
SLOW = Backoff(base=3600, ceiling=3600)


@pytest.mark.parametrize("told", [None, "3", True, -1, 0, float("nan"), [], pytest.param(10**400, id="huge")])
def test_what_is_no_time_to_come_back_is_none(told: Any) -> None:
    error = RateLimited("No.", {"retryAfterSeconds": told})
    assert error.retry_after in (None, 300.0)
    assert Backoff(base=0).after(error, 1) < 400
