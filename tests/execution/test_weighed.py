"""The cache that is bounded by weight, against a list that does the same."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from userline.execution.weighed import _ENTRY_BYTES, WeighedCache, weight_of

MOST_BYTES = 5000

steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "touch", "drop", "clear"]), st.integers(0, 8), st.integers(0, MOST_BYTES + 100)
    ),
    max_size=60,
)


@given(steps, st.one_of(st.none(), st.integers(0, 5)))
def test_it_keeps_what_was_used_last_and_fits(steps: list[tuple[str, int, int]], most: int | None) -> None:
    dropped: list[tuple[int, int]] = []
    cache: WeighedCache[int, int] = WeighedCache(
        MOST_BYTES, most=most, on_drop=lambda key, value: dropped.append((key, value))
    )
    model: list[tuple[int, int]] = []  # the one that was used last is last
    put = 0
    for step, key, weight in steps:
        at = next((number for number, (known, _) in enumerate(model) if known == key), None)
        if step == "put":
            put += 1
            cache.put(key, weight, weight)
            if at is not None:
                del model[at]
            if weight + _ENTRY_BYTES <= MOST_BYTES and most != 0:
                model.append((key, weight))
            else:
                put -= 1
            while sum(weight + _ENTRY_BYTES for _, weight in model) > MOST_BYTES or len(model) > (most or sys.maxsize):
                del model[0]
        elif step == "get":
            assert cache.get(key) == (None if at is None else model[at][1])
        elif step == "touch" and at is not None:
            cache.touch(key)
            model.append(model.pop(at))
        elif step == "drop" and at is not None:
            cache.drop(key)
            del model[at]
        elif step == "clear":
            cache.clear()
            model.clear()
        assert [(key, cache.look_up(key)) for key in cache] == model
        assert cache.weight == sum(weight + _ENTRY_BYTES for _, weight in model) <= MOST_BYTES
        assert len(dropped) + len(model) == put, "each that is kept no longer is told of, once"
        assert (key in cache) == any(key == known for known, _ in model)
        assert list(reversed(cache)) == [key for key, _ in reversed(model)]


def test_a_small_entry_takes_no_more_than_is_counted_for_it() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache: WeighedCache[bytes, bytes] = WeighedCache(1 << 30)
        for number in range(20_000):
            key = b"%032d" % number
            cache.put(key, key, sys.getsizeof(key))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert taken <= cache.weight <= 3 * taken


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(values)
def test_a_value_weighs_at_least_what_is_in_it(value: Any) -> None:
    def leaves(value: Any) -> int:
        if isinstance(value, list | tuple):
            return sum(map(leaves, value))
        if isinstance(value, dict):
            return sum(leaves(key) + leaves(member) for key, member in value.items())
        return sys.getsizeof(value)

    assert weight_of(value) >= leaves(value)
