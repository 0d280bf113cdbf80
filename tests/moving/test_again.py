"""A file that is imported again does nothing, whatever its lines leave out."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from click.testing import CliRunner

from tests.moving.generated import user
from userline.cli.main import userline

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = [
    "custom", "locale", "photoUrl", "role", "welcomeMessage", "email", "phone", "pushTokens", "createdAt", "updatedAt",
    "version",
]  # fmt: skip


def lines_of(seed: int, count: int = 40) -> list[dict[str, Any]]:
    """Return users of whom each line leaves out something else, or says null."""
    dice = random.Random(seed)
    lines = []
    for number in range(count):
        value = user(number)
        for name in dice.sample(FIELDS, dice.randrange(len(FIELDS) + 1)):
            if dice.random() < 0.5:
                del value[name]
            else:
                value[name] = None
        lines.append(value)
    return lines


def invoke(directory: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(userline, [*arguments, "--store-url", f"sqlite:///{directory}/userline.db"])
    return done.exit_code, done.output


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("on_existing", ["refuse", "skip", "replace"])
def test_a_file_that_is_imported_again_does_nothing(tmp_path: Path, seed: int, on_existing: str) -> None:
    source = tmp_path / "users.jsonl"
    source.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines_of(seed)))
    code, told = invoke(tmp_path, "import", str(source), "--on-existing", on_existing)
    assert (code, "40 users created" in told) == (0, True), told
    assert invoke(tmp_path, "export", str(tmp_path / "first.jsonl"))[0] == 0
    for _ in range(2):
        time.sleep(0.002)
        code, told = invoke(tmp_path, "import", str(source), "--on-existing", on_existing)
        assert (code, "40 there already" in told) == (0, True), told
    assert invoke(tmp_path, "export", str(tmp_path / "second.jsonl"))[0] == 0
    assert (tmp_path / "second.jsonl").read_bytes() == (tmp_path / "first.jsonl").read_bytes()


@pytest.mark.parametrize(("on_existing", "code"), [("refuse", 1), ("skip", 0), ("replace", 0)])
def test_a_line_that_says_another_thing_is_another_user(tmp_path: Path, on_existing: str, code: int) -> None:
    source = tmp_path / "users.jsonl"
    source.write_bytes(b'{"id": "a", "name": "A"}\n{"id": "b", "name": "B"}\n')
    assert invoke(tmp_path, "import", str(source))[0] == 0
    source.write_bytes(b'{"id": "a", "name": "A"}\n{"id": "b", "name": "Other"}\n')
    done, told = invoke(tmp_path, "import", str(source), "--on-existing", on_existing)
    assert done == code, told
    assert ("1 replaced, 1 there already" in told) is (on_existing == "replace")
    assert ("1 there already, 1 left as they were" in told) is (on_existing == "skip")


@pytest.mark.parametrize("field", ["createdAt", "updatedAt"])
def test_a_time_that_is_said_is_meant(tmp_path: Path, field: str) -> None:
    source = tmp_path / "users.jsonl"
    source.write_bytes(orjson.dumps({"id": "a", "name": "A", field: 5}))
    assert invoke(tmp_path, "import", str(source))[0] == 0
    source.write_bytes(orjson.dumps({"id": "a", "name": "A", field: 6}))
    code, told = invoke(tmp_path, "import", str(source))
    assert (code, "1 refused" in told) == (1, True)
