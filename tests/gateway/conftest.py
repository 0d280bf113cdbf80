"""Fixtures for the tests of the gateway."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set: no ``USERLINE_*`` variable, and an empty working directory."""
    for name in os.environ:
        if name.upper().startswith("USERLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
