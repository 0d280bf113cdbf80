"""Messages as payloads of notifications: whole or not at all, and little held."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from userline.changes.channels import channel_of
from userline.changes.postgres import parts as parts_module
from userline.changes.postgres.parts import MAX_MESSAGE_BYTES, Assembly, TooLargeError, name_of, parts_of

MESSAGES = st.one_of(
    st.binary(max_size=100), st.integers(0, 40_000).map(lambda size: bytes(size % 251 for _ in range(size)))
)
NAMES = st.text(st.characters(), max_size=120)


@given(MESSAGES)
def test_parts_fit_into_a_payload_and_are_the_message_again(message: bytes) -> None:
    assembly = Assembly()
    payloads = parts_of("0123456789abcdef-1f", message)
    assert all(payload.isascii() and len(payload) < 8000 and "\0" not in payload for payload in payloads)
    *before, last = [assembly.add("c", payload) for payload in payloads]
    assert before == [None] * len(before)
    assert last == message
    assert assembly.held_bytes == 0


@given(st.lists(MESSAGES, min_size=2, max_size=4), st.data())
@settings(deadline=None)
def test_torn_messages_are_never_put_together_wrongly(messages: list[bytes], data: st.DataObject) -> None:
    """Parts that are missing, doubled, swapped or of others give nonsense, and never a message that nobody sent."""
    payloads = [payload for number, one in enumerate(messages) for payload in parts_of(f"a-{number}", one)]
    chosen = data.draw(st.lists(st.sampled_from(payloads), max_size=30))
    assembly = Assembly()
    for payload in chosen:
        whole = assembly.add("c", payload)
        assert whole is None or whole in messages or whole == payload.encode()
        assert assembly.held_bytes <= max(map(len, messages))
    for payload in parts_of("b-0", b"x" * 20_000)[:-1]:
        assert assembly.add("c", payload) is None
    assert assembly.add("c", parts_of("b-0", b"x" * 20_000)[-1]) == b"x" * 20_000


@given(st.text(max_size=200))
def test_what_strangers_say_is_handed_on_as_it_is_and_ends_what_is_held(payload: str) -> None:
    assembly = Assembly()
    assembly.add("c", parts_of("a-0", b"x" * 20_000)[0])
    assert assembly.held_bytes > 0
    assert assembly.add("c", payload) == payload.encode(errors="replace")
    assert assembly.held_bytes == 0


@pytest.mark.parametrize(
    "payload",
    [
        "a.0.2:not base64!",
        "a.1.2:aGk=",
        "a.0.999999999:aGk=",
        "a.0.0:aGk=",
        "a.5.3:aGk=",
        "a.٣.3:aGk=",
        "a.0.3:" + "QUFB" * 3000,
        "A.0.1:aGk=",
        "a.0.1:aGk",
    ],
)
def test_parts_that_are_none(payload: str) -> None:
    assembly = Assembly()
    assert assembly.add("c", payload) == payload.encode()
    assert assembly.held_bytes == 0


def test_a_part_of_one_channel_does_not_go_on_with_one_of_another() -> None:
    assembly = Assembly()
    first, second = parts_of("a-0", b"x" * 8000)
    assert assembly.add("one", first) is None
    assert assembly.add("two", second) == second.encode()


def test_a_message_that_is_too_large_is_refused_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_MESSAGE_BYTES", 10_000)
    parts_of("a-0", b"x" * 10_000)
    with pytest.raises(TooLargeError):
        parts_of("a-0", b"x" * 10_001)
    assert MAX_MESSAGE_BYTES > 100 * 65_536 * 6, "a hundred users of the usual limit, escaped as JSON can be at worst"


@given(NAMES, NAMES)
def test_names_are_short_and_differ_where_channels_do(one: str, other: str) -> None:
    channels = {channel_of("userline", app, "changes") for app in (one, other, one + "x" * 70, other + "x" * 70)}
    channels |= {channel_of("userline", "a", name) for name in (one, other)}
    names = {name_of(channel) for channel in channels}
    assert len(names) == len(channels)
    assert all(len(name.encode()) <= 63 for name in names)
