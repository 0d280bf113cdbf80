"""Headers with lists, parameters and quoted strings, and what follows from them: what is read, and what is answered."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userline.gateway.body import BodyRefused, check_content_type
from userline.gateway.header_fields import joined, members, with_parameters
from userline.gateway.negotiation import EVENT_STREAM, GRAPHQL_RESPONSE, HTML, JSON, choose
from userline.gateway.streaming.framing import wants_multipart

_TOKEN = st.text("!#$%&'*+-.^_`|~019azAZ", min_size=1)
_TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]))
_SPACES = st.text(" \t", max_size=2)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def _members(draw: st.DrawFn) -> tuple[str, tuple[str, list[tuple[str, str]]]]:
    """A media range as it may be written, and what it says."""
    name = f"{draw(_TOKEN)}/{draw(_TOKEN)}"
    parameters, written = [], name
    for key, value, is_token in draw(st.lists(st.tuples(_TOKEN, _TEXT, _TOKEN | st.none()), max_size=4)):
        said = value if is_token is None else is_token
        parameters.append((key.lower(), said))
        written += f"{draw(_SPACES)};{draw(_SPACES)}{key}={quoted(said) if is_token is None else said}"
    return written + draw(st.sampled_from(["", ";", " ; "])), (name.lower(), parameters)


@given(st.lists(_members(), min_size=1), st.sampled_from([",", ", ", " ,, ", ",\t"]))
def test_lists_and_parameters_are_read_as_they_were_meant(
    meant: list[tuple[str, tuple[str, list[tuple[str, str]]]]], between: str
) -> None:
    header = between.join(written for written, _ in meant)
    assert [with_parameters(member) for member in members(header)] == [says for _, says in meant]


@given(st.text(st.sampled_from('",;=\\ \tq1a/*')) | st.text(st.characters(codec="latin-1")))
def test_any_text_is_read_as_something(header: str) -> None:
    lines = [(b"accept", header.encode("latin-1")), (b"content-type", header.encode("latin-1"))]
    choose(joined(lines, b"accept"), (JSON, HTML))
    wants_multipart(header)
    with contextlib.suppress(BodyRefused):
        check_content_type(lines)


@pytest.mark.parametrize("text", ['"', '"\\', '\\"' * 3, 'a/b;x="' + '\\"' * 20_000, '"' * 40_001, "," * 40_000])
def test_no_text_takes_long(text: str) -> None:
    """In a time that grows with the square of the length, the long ones would take minutes."""
    for member in members(text):
        with_parameters(member)
    with_parameters(text)


@pytest.mark.parametrize(
    "value",
    [
        "application/json",
        "Application/JSON ; Charset=UTF-8",
        'application/json; profile="a;charset=utf-7"',
        r'application/json; profile="a\";charset=utf-7"; charset="utf-8"',
        "application/json;;charset=utf8;",
        "application/json; profile=charset",
    ],
)
def test_content_types_of_json(value: str) -> None:
    check_content_type([(b"content-type", value.encode())])
    check_content_type([(b"content-type", value.encode())] * 2)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [""],
        [";application/json"],
        ["text/plain"],
        ["text/plain; a=application/json"],
        ['"application/json"'],
        ["application/json; charset=utf-7"],
        [r'application/json; profile="\""; charset=utf-7'],
        ['application/json; charset="utf-16"; charset=utf-8'],
        ["application/json", "text/plain"],
        ["application/json", "application/json; charset=utf-8"],
        ["application/json, application/json"],
    ],
)
def test_other_content_types(values: list[str]) -> None:
    with pytest.raises(BodyRefused) as refused:
        check_content_type([(b"content-type", value.encode()) for value in values])
    assert (refused.value.status, refused.value.field) == (415, "content-type")


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (['application/json;profile="x, text/html;q=1"'], JSON),
        (['text/html;level="1;q=0"'], HTML),
        (['text/html;q=0.5;a="b,c", application/json;q=0.6'], JSON),
        (["text/html", "application/json;q=0.5"], HTML),
        (["text/html;q=0.5", "application/graphql-response+json"], GRAPHQL_RESPONSE),
        (["text/event-stream;q=nan, application/json;q=0.1"], JSON),
        (["text/html;q=1_0, application/json;q=0.1"], JSON),
        (["text/html;q=-1, application/json;q=1.000"], JSON),
        (['text/html;q="0.2", application/json;q=.3'], JSON),
        (["application/json;q=0", "*/*"], GRAPHQL_RESPONSE),
        (["text/plain"], None),
        ([",, ,"], None),
        ([""], JSON),
        ([], JSON),
    ],
)
def test_what_is_chosen(lines: list[str], chosen: str | None) -> None:
    header = joined([(b"accept", line.encode()) for line in lines], b"accept")
    assert choose(header, (JSON, GRAPHQL_RESPONSE, HTML, EVENT_STREAM)) == chosen


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ('multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json', True),
        ('Multipart/Mixed; boundary="a,b;c"; SubscriptionSpec="1.0"', True),
        ('multipart/mixed;boundary=";subscriptionSpec=1.0"', False),
        ("multipart/mixed;subscriptionSpec=1.0;q=0, application/json", False),
        ('application/json;a=", multipart/mixed;subscriptionSpec=1.0"', False),
        (None, False),
    ],
)
def test_who_takes_multipart(header: str | None, wanted: bool) -> None:
    assert wants_multipart(header) is wanted
