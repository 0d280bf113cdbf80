"""``userline delete``, and imports of files with users in them who were deleted since."""

from __future__ import annotations

import io
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from userline.cli.main import userline
from userline.moving.deleting import read_ids
from userline.users.errors import BadUserInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IDS = ["alice", "bob", "a/b", "-dash", '"quoted"', "{brace", "é", "two words", "x" * 255]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("USERLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, given: bytes | None = None, code: int = 0) -> str:
    result = CliRunner().invoke(userline, [*arguments], input=given)
    assert result.exit_code == code, result.output
    return result.output


def write(path: Path, *users: dict[str, Any]) -> str:
    path.write_bytes(b"\n".join(map(orjson.dumps, users)))
    return str(path)


def stored(tmp_path: Path) -> list[str]:
    with closing(sqlite3.connect(tmp_path / "userline.db")) as connection:
        return [user_id for (user_id,) in connection.execute("SELECT id FROM users ORDER BY id")]


def test_users_are_deleted_and_nothing_of_them_is_in_the_files(tmp_path: Path) -> None:
    users = [{"id": user_id, "name": f"unmistakable {number}"} for number, user_id in enumerate(IDS)]
    run("import", write(tmp_path / "in.jsonl", *users))
    assert "2 users deleted, 1 did not exist." in run("delete", "alice", "bob", "alice", "nobody")
    assert "1 user deleted, 0 did not exist." in run("delete", "--yes", "--", "-dash")
    rest = [user_id for user_id in IDS if user_id not in ("alice", "bob", "-dash")]
    assert stored(tmp_path) == sorted(rest)
    lines = b"\n".join(orjson.dumps(each) for each in rest[:3])
    lines += (
        b"\r\n\n" + rest[3].encode() + b"\n" + orjson.dumps({"id": rest[4], "name": "x"}) + b"\n" + rest[5].encode()
    )
    assert f"{len(rest)} users deleted, 0 did not exist." in run("delete", "--from", "-", given=lines)
    assert stored(tmp_path) == []
    for path in tmp_path.glob("userline.db*"):
        data = path.read_bytes()
        assert b"unmistakable" not in data
        assert b"two words" not in data


def test_as_many_as_a_file_has(tmp_path: Path) -> None:
    ids = [f"user {number}" for number in range(500)]
    run("import", write(tmp_path / "in.jsonl", *({"id": user_id, "name": "A"} for user_id in ids)))
    assert "500 users deleted, 0 did not exist." in run("delete", "--from", "in.jsonl")
    assert "0 users deleted, 500 did not exist." in run("delete", "--from", "in.jsonl")


@pytest.mark.parametrize(
    ("arguments", "given", "sentence"),
    [
        ([], None, "No users are given"),
        (["x" * 256], None, "id must"),
        (["alice", "a\0b"], None, "id must"),
        (["--from", "nowhere.txt"], None, "No such file"),
        ([""], None, "id must"),
        (["--from", "-", "--port", "x"], b"", "USERLINE_PORT"),
        (["--from", "-"], b"alice\n{}\n", "line 2 has no id of a user"),
        (["--from", "-"], b'{"id": "alice", "id": "bob"}\n', 'line 1 has no id of a user: it has the name "id" more'),
        (["--from", "-"], b"alice\n{\n", "line 2 has no id of a user"),
        (["--from", "-"], b"\xff\n", "line 1 has no id of a user"),
        (["alice", "--store-url", "nonsense:"], None, "store"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_done(
    tmp_path: Path, arguments: list[str], given: bytes | None, sentence: str
) -> None:
    run("import", write(tmp_path / "in.jsonl", {"id": "alice", "name": "A"}))
    assert sentence in run("delete", *arguments, given=given, code=2)
    assert stored(tmp_path) == ["alice"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\r\n \n\t\n"])
@pytest.mark.parametrize("source", ["-", "gone.txt"])
def test_a_list_of_nobody_is_no_mistake(tmp_path: Path, content: bytes, source: str) -> None:
    """What a job has made of those who left today may be empty."""
    run("import", write(tmp_path / "in.jsonl", {"id": "alice", "name": "A"}))
    (tmp_path / "gone.txt").write_bytes(content)
    assert "nothing to delete" in run("delete", "--from", source, given=content)
    assert stored(tmp_path) == ["alice"]
    assert "1 user deleted" in run("delete", "alice", "--from", source, given=content)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert "there are no users" in run("delete", "alice", "--store-url", f"sqlite:///{tmp_path}/none.db", code=1)
    assert not (tmp_path / "none.db").exists()


def test_ids_are_read_as_they_are_or_as_json() -> None:
    lines = b'alice\n "x\n"\\u00e9"\n\t\n{"id":"a\\nb","name":1}\n two words \n'
    with pytest.raises(BadUserInput, match="line 7"):
        read_ids(io.BytesIO(lines + b"5\0\n"))
    assert read_ids(io.BytesIO(lines)) == ["alice", ' "x', "é", "a\nb", " two words "]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=20).filter(
            lambda text: text.strip() and text[0] not in '{"\ufeff'
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([str, lambda text: orjson.dumps(text).decode(), lambda text: orjson.dumps({"id": text}).decode()]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
    st.booleans(),
)
def test_ids_are_the_same_whatever_has_written_the_file(
    ids: list[str], form: Callable[[str], str], end: str, encoding: str, ends: bool
) -> None:
    text = end.join(map(form, ids)) + (end if ends else "")
    assert read_ids(io.BytesIO(text.encode(encoding))) == ids


def test_an_old_export_does_not_bring_back_who_was_deleted_without_a_word(tmp_path: Path) -> None:
    run("import", write(tmp_path / "in.jsonl", *({"id": user_id, "name": "A"} for user_id in "abcd")))
    run("export", "out.jsonl")
    run("delete", "b", "d")
    for flags in ([], ["--on-existing", "replace"], ["--dry-run"]):
        told = run("import", "out.jsonl", *flags, code=1)
        assert "2 refused. Nothing was written." in told
        assert "--on-deleted restore" in told
        report = [orjson.loads(line) for line in (tmp_path / "out.jsonl.refused.jsonl").read_bytes().splitlines()]
        assert [(each["line"], each["id"]) for each in report] == [(2, "b"), (4, "d")]
        assert "was deleted after" in report[0]["reasons"][0]["message"]
        assert stored(tmp_path) == ["a", "c"]
    assert "2 refused" in run(
        "import", write(tmp_path / "plain.jsonl", *({"id": x, "name": "B"} for x in "bd")), code=1
    )
    told = run("import", "out.jsonl", "--on-deleted", "skip")
    assert "0 users created, 0 replaced, 2 there already, 0 left as they were, 2 left deleted, 0 lines refused." in told
    assert stored(tmp_path) == ["a", "c"]
    told = run("import", "out.jsonl", "--skip-refused", code=1)
    assert "0 users created, 0 replaced, 2 there already, 0 left as they were, 2 lines refused." in told
    report = [orjson.loads(line) for line in (tmp_path / "out.jsonl.refused.jsonl").read_bytes().splitlines()]
    assert [(each["line"], each["id"]) for each in report] == [(2, "b"), (4, "d")]
    assert stored(tmp_path) == ["a", "c"], "the check has refused them, and writing does, too"
    assert "2 users created" in run("import", "out.jsonl", "--on-deleted", "restore")
    assert stored(tmp_path) == list("abcd")
    old = {
        line["id"]: line["version"] for line in map(orjson.loads, (tmp_path / "out.jsonl").read_bytes().splitlines())
    }
    run("export", "again.jsonl")
    new = {
        line["id"]: line["version"] for line in map(orjson.loads, (tmp_path / "again.jsonl").read_bytes().splitlines())
    }
    assert [new[user_id] > old[user_id] for user_id in "abcd"] == [False, True, False, True]
    assert "4 there already" in run("import", "again.jsonl"), "exported after the deletion"


def test_who_was_created_again_is_no_deleted_user(tmp_path: Path) -> None:
    run("import", write(tmp_path / "in.jsonl", {"id": "a", "name": "A"}))
    run("export", "out.jsonl")
    run("delete", "a")
    run("import", "in.jsonl", "--on-deleted", "restore")
    assert "left deleted" not in run("import", "out.jsonl", "--on-existing", "skip")
    assert stored(tmp_path) == ["a"]
