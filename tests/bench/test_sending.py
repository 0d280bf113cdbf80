"""What sending alone costs."""

from __future__ import annotations

import pytest
from bench.sending import measure

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("shuffled", [False, True])
def test_every_write_is_read(monkeypatch: pytest.MonkeyPatch, shuffled: bool) -> None:
    monkeypatch.setattr("bench.sending._WRITES", 500)
    assert 0 < measure(20, shuffled=shuffled) < 10_000
