"""Every line of docs/client-behaviour.md has a test, and every public name says what it is."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import userline_client

TESTS = Path(__file__).parent
LIST = TESTS.parents[2] / "docs" / "client-behaviour.md"


@pytest.mark.parametrize("name", [name for name in userline_client.__all__ if name not in ("UNSET", "OnNeedToken")])
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(userline_client, name)
    if not inspect.isclass(public):
        return  # an alias of types
    assert public.__doc__
    assert not public.__doc__.startswith(f"{name}("), "made by dataclass"
    for member_name, member in inspect.getmembers(public):
        if member_name.startswith("_") or member_name not in vars(public):
            continue
        if inspect.isfunction(member) or isinstance(member, property):
            assert member.__doc__, f"{name}.{member_name}"
