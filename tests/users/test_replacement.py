"""What becomes of a user when a whole record is put in its place."""

from __future__ import annotations

import pytest

from tests.storage.moving_contract import record_of
from userline.users.replacement import Put, put


@pytest.mark.parametrize("overwrite", [False, True])
def test_nobody_there(overwrite: bool) -> None:
    record = record_of("a", version=5)
    assert put(record, None, overwrite=overwrite) == (Put.CREATED, record)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("version", [1, 4, 5])
def test_the_same_but_for_an_older_version_is_the_same(overwrite: bool, version: int) -> None:
    before = record_of("a", version=5)
    assert put(record_of("a", version=version), before, overwrite=overwrite) == (Put.SAME, before)


def test_the_same_at_a_newer_version_is_another() -> None:
    before, record = record_of("a", version=5), record_of("a", version=6)
    assert put(record, before, overwrite=False) == (Put.KEPT, before)
    assert put(record, before, overwrite=True) == (Put.REPLACED, record)


@pytest.mark.parametrize(("given", "then"), [(1, 6), (5, 6), (6, 6), (70, 70)])
def test_a_version_grows(given: int, then: int) -> None:
    before = record_of("a", version=5)
    what, after = put(record_of("a", version=given, name="B"), before, overwrite=True)
    assert (what, after) == (Put.REPLACED, record_of("a", version=then, name="B"))
