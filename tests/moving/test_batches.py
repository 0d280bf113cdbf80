"""A file of lines, read in batches from anywhere in it."""

from __future__ import annotations

import io

import orjson
import pytest

from userline.moving import batches
from userline.moving.batches import Batch, Batches
from userline.users.rules import Limits, Rules


def line(user_id: str, name: str = "A") -> bytes:
    return orjson.dumps({"id": user_id, "name": name}) + b"\n"


def read(data: bytes, *, offset: int = 0, at: int = 0, rules: Rules | None = None) -> list[Batch]:
    return [*Batches(io.BytesIO(data), rules or Rules(), now=1, offset=offset, line=at)]


def test_lines_have_their_numbers_blank_ones_among_them() -> None:
    (batch,) = read(b"\xef\xbb\xbf" + line("a") + b"\n  \r\n" + line("b") + b"{\n" + line("c").rstrip())
    assert {user_id: number for user_id, (number, _) in batch.users.items()} == {"a": 1, "b": 4, "c": 6}
    assert [number for number, _ in batch.refused] == [5]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_reading_goes_on_from_the_end_of_any_batch(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LINES_A_BATCH", size)
    data = b"".join(line(f"u{number}") + b"\n" * (number % 3) for number in range(10))
    whole = read(data)
    for index, batch in enumerate(whole):
        assert read(data, offset=batch.offset, at=batch.line) == whole[index + 1 :]
    assert sum(len(batch.users) for batch in whole) == 10


def test_the_second_line_of_a_user_is_in_another_batch() -> None:
    data = line("a", "1") + line("b") + line("a", "2") + line("c") + line("a", "3")
    found = read(data)
    assert [list(batch.users) for batch in found] == [["a", "b"], ["a", "c"], ["a"]]
    assert read(data, offset=found[0].offset, at=found[0].line) == found[1:]


def test_a_line_that_is_too_long_is_refused_and_the_next_is_read() -> None:
    rules = Rules(Limits(record_bytes=1000))
    data = line("a") + line("b", "x" * (3 << 20)) + line("c")
    (batch,) = read(data, rules=rules)
    assert list(batch.users) == ["a", "c"]
    assert [(number, str(refused)) for number, refused in batch.refused] == [(2, "line is longer than 1048576 bytes.")]
    assert batch.users["c"][0] == 3
    assert batch.offset == len(data)


def test_an_empty_file_has_no_batch() -> None:
    assert read(b"") == read(b"\n \n") == []
