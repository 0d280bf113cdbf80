"""JSON whose objects have a name twice."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from userline.common.repeated_names import find_repeated_name

_texts = st.text(st.sampled_from('a:",\\\\{}[]é')) | st.text(st.characters(codec="utf-8"))
_values = st.recursive(
    st.none() | st.integers(-9, 9) | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=12,
)


@given(_values, st.booleans(), st.sampled_from([None, 1]))
def test_what_has_each_name_once(value: Any, is_ascii: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode()
    assert find_repeated_name(text, orjson.loads(text)) is None


@given(st.dictionaries(_texts, _values, min_size=1, max_size=4), st.data(), st.booleans())
def test_one_name_twice_is_found_wherever_it_is(value: dict[str, Any], data: st.DataObject, is_ascii: bool) -> None:
    name = data.draw(st.sampled_from(sorted(value)))
    member = f"{json.dumps(name, ensure_ascii=is_ascii)}: {json.dumps(data.draw(_values))}"
    text = f"{json.dumps(value)[:-1]}, {member}}}"
    for around, place in (("%s", ""), ('[0, {"a": %s}]', '1."a"')):
        whole = (around % text.replace("%", "%%") if "%" not in text else around.replace("%s", text)).encode()
        told = find_repeated_name(whole, orjson.loads(whole))
        assert told is not None
        assert told.endswith(f" in {place}" if place else " more than once")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "\\u0061": 2}', 'has the name "a" more than once'),
        ('{"x": {"b": {}, "b": {}}}', 'has the name "b" more than once in "x"'),
        ("[" * 1000 + '{"a":1,"a":2}' + "]" * 1000, "has an object with a name that is there more than once"),
        (json.dumps({"k" * 900: 1})[:-1] + ',"' + "k" * 900 + '":2}', f'has the name "{"k" * 199}… more than once'),
    ],
)
def test_what_is_said(text: str, told: str) -> None:
    assert find_repeated_name(text.encode(), orjson.loads(text)) == told
