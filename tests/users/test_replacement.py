"""What becomes of a user when a whole record is put in its place."""

from __future__ import annotations

import pytest

from tests.storage.records import record_of
from userline.users.replacement import Put, put

NOW = 1_000


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(("given", "then"), [(1, NOW), (NOW, NOW), (NOW + 5, NOW + 5)])
def test_nobody_there(overwrite: bool, given: int, then: int) -> None:
    created = put(record_of("a", version=given), None, now=NOW, overwrite=overwrite)
    assert created == (Put.CREATED, record_of("a", version=then))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("version", [1, NOW - 1, NOW])
def test_the_same_but_for_an_older_version_is_the_same(overwrite: bool, version: int) -> None:
    before = record_of("a", version=NOW)
    assert put(record_of("a", version=version), before, now=2 * NOW, overwrite=overwrite) == (Put.SAME, before)


def test_the_same_at_a_newer_version_is_another() -> None:
    before, record = record_of("a", version=NOW), record_of("a", version=NOW + 1)
    assert put(record, before, now=NOW, overwrite=False) == (Put.KEPT, before)
    assert put(record, before, now=NOW, overwrite=True) == (Put.REPLACED, record)


@pytest.mark.parametrize("now", [0, NOW, NOW + 3, NOW + 1_000_000])
@pytest.mark.parametrize("given", [1, NOW, NOW + 1, NOW + 70])
def test_a_version_grows(given: int, now: int) -> None:
    before = record_of("a", version=NOW)
    what, after = put(record_of("a", version=given, name="B"), before, now=now, overwrite=True)
    assert (what, after) == (Put.REPLACED, record_of("a", version=max(given, NOW + 1, now), name="B"))
