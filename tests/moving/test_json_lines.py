"""A user as a line: written and read back the same, and refused with everything that is wrong."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.moving.generated import user
from tests.storage.records import record_of
from tests.users.samples import DEFAULTS
from userline.moving.json_lines import LineRefused, encode_line, parse_line
from userline.users.rules import Limits, Rules

NOW = 1_700_000_000_000


def parse(**fields: Any) -> Any:
    return parse_line(orjson.dumps(fields), Rules(), now=NOW)


def refusal(line: bytes, rules: Rules | None = None) -> LineRefused:
    with pytest.raises(LineRefused) as caught:
        parse_line(line, rules or Rules(), now=NOW)
    return caught.value


def test_a_user_comes_back_as_it_was() -> None:
    record = record_of("a/b.$", version=7)
    line = encode_line(record)
    assert line.endswith(b"}\n")
    assert parse_line(line, Rules(), now=NOW) == record
    assert orjson.loads(line) == DEFAULTS | {
        "id": "a/b.$",
        "name": "Alice",
        "custom": {"z": "1", "a.b": "$2", "": "\0"},
        "locale": "de",
        "photoUrl": "https://example.com/a.png",
        "role": "agent",
        "welcomeMessage": "Hello\n",
        "email": ["a@example.com", "b@example.com"],
        "phone": ["+14155552671"],
        "pushTokens": {"apns:2": True, "fcm:1": True},
        "createdAt": 1_600_000_000_000,
        "updatedAt": 1_650_000_000_000,
        "version": 7,
    }


@pytest.mark.parametrize("number", range(60))
def test_generated_users_come_back_byte_for_byte(number: int) -> None:
    line = orjson.dumps(user(number), option=orjson.OPT_APPEND_NEWLINE)
    assert encode_line(parse_line(line, Rules(), now=NOW)) == line


def test_what_is_left_out_has_its_default() -> None:
    record = parse(id="a", name="Alice", email="a@example.com", locale=None)
    assert (record.created_at, record.updated_at, record.snapshot.version) == (NOW, NOW, 1)
    assert (record.email, record.snapshot.role, record.snapshot.locale) == (("a@example.com",), "default", None)
    assert parse(id="a", name="Alice", createdAt=5).updated_at == 5


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        (b'{"id": "a", "name": "A", "name": "B"}', "line", 'line has the name "name" more than once'),
        (b"{", "line", "line is not JSON"),
        (b'{"id": "a", "name": "\xff"}', "line", "line is not JSON"),
        (b'{"id": "a", "name": NaN}', "line", "line is not JSON"),
        (b'["a"]', "line", "must be a JSON object"),
        (b"null", "line", "must be a JSON object"),
        (b'{"name": "A"}', "id", "id must be a string"),
        (b'{"id": "", "name": "A"}', "id", "id must not be empty"),
        (b'{"id": "a"}', "name", "name is required"),
        (b'{"id": "a", "name": "A", "nick": "B"}', "nick", "is not a field of a user"),
        (b'{"id": "a", "name": "A", "version": 0}', "version", "a whole number from 1"),
        (b'{"id": "a", "name": "A", "version": true}', "version", "a whole number"),
        (b'{"id": "a", "name": "A", "createdAt": 1.5}', "createdAt", "a whole number"),
        (b'{"id": "a", "name": "A", "updatedAt": 9007199254740992}', "updatedAt", "a whole number"),
        (b'{"id": "a", "name": "A", "email": ["hush@"]}', "email", "must be an e-mail address"),
    ],
)
def test_refusals(line: bytes, field: str, says: str) -> None:
    refused = refusal(line)
    assert [problem.field for problem in refused.problems] == [field]
    assert says in str(refused)
    assert "hush" not in str(refused)


def test_all_that_is_wrong_is_told_at_once() -> None:
    refused = refusal(b'{"id": "a\\u0000", "locale": "en_US", "version": "1", "phone": "12"}')
    assert [problem.field for problem in refused.problems] == ["id", "version", "name", "locale", "phone"]
    assert refused.user_id is None


def test_limits_and_roles_hold() -> None:
    limits = Limits(custom_keys=1, record_bytes=1000)
    two = orjson.dumps({"id": "a", "name": "A", "custom": {"a": "1", "b": "2"}})
    assert "the limit is 1" in str(refusal(two, Rules(limits)))
    large = orjson.dumps({"id": "a", "name": "A", "welcomeMessage": "x" * 1000})
    assert "the limit is 1000 bytes" in str(refusal(large, Rules(limits)))
    strange = orjson.dumps({"id": "a", "name": "A", "role": "king"})
    refused = refusal(strange, Rules(roles=frozenset({"default"})))
    assert refused.user_id == "a"
    assert "must be one of the configured roles" in str(refused)
