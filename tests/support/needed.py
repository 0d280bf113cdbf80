"""What a test needs of the machine: the test is skipped without it, or fails where everything has to be tested."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be tested (USERLINE_TEST_REQUIRE_ALL=1)."""
    if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)  # noqa: TID251 - the place for it


def not_permitted(reason: str) -> NoReturn:
    """Skip the test, because the machine does not let this user do what it needs: no script can install that."""
    pytest.skip(reason)  # noqa: TID251 - nor here


def program(name: str, hint: str = "") -> str:
    """Return where a program is, where Debian keeps those of servers too; without it the test is ``unavailable``."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    return found or unavailable(f"there is no {name} on PATH{hint and f' ({hint})'}")
