"""Every command that writes a file, with everything that can stand where it is to be written.

The outcome is one of two: done whole, or refused with a sentence and nothing changed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
from click.testing import CliRunner, Result

from tests.moving.generated import write_users
from tests.support.disks import small_disk
from tests.support.needed import not_permitted
from userline.cli.main import userline
from userline.moving import streams
from userline.storage.sqlite import SQLiteUserStore
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USERS = 25
REPORT = orjson.dumps({"line": 1, "id": None, "reasons": []}) + b"\n"


class Place:
    """A directory with a store that is in use, a file to import, and ``target``, which a state is made at."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = directory / "userline.db"
        self.source = directory / "users.jsonl"
        self.target = directory / "target"
        self.elsewhere = directory / "elsewhere"
        self.elsewhere.mkdir()
        self.expected = write_users(directory / "seed.jsonl", USERS)

    def beside(self, suffix: str) -> Path:
        return self.store.with_name(self.store.name + suffix)

    def link(self, to: Path) -> Path:
        self.target.symlink_to(to)
        return self.target

    def hardlink(self, to: Path) -> Path:
        self.target.hardlink_to(to)
        return self.target

    def contents(self) -> dict[str, object]:
        """Return everything that stands in the directory, and what it is."""
        found: dict[str, object] = {}
        for path in sorted(self.directory.rglob("*")):
            status = path.lstat()
            what: object = None
            if stat.S_ISREG(status.st_mode) and not path.name.endswith("-shm"):
                what = path.read_bytes() if path.name.startswith("userline.db") is False else status.st_ino
            elif stat.S_ISLNK(status.st_mode):
                what = path.readlink()
            found[str(path.relative_to(self.directory))] = (
                stat.S_IFMT(status.st_mode), status.st_ino, status.st_rdev, what
            )  # fmt: skip
        return found


def a_file(place: Place, data: bytes = b"precious\n") -> Path:
    place.target.write_bytes(data)
    return place.target


def a_file_elsewhere(place: Place) -> Path:
    path = place.elsewhere / "file"
    path.write_bytes(b"precious\n")
    return path


def a_database(place: Place) -> Path:
    with closing(sqlite3.connect(place.target)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    return place.target


def a_device(place: Place, kind: int, number: int) -> Path:
    try:
        os.mknod(place.target, kind | 0o666, number)
    except PermissionError as error:
        not_permitted(f"this user may not make device files: {error}")
    return place.target


def a_socket(place: Place) -> Path:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        here = Path.cwd()
        os.chdir(place.directory)  # the name of a socket is short
        try:
            listener.bind("target")
        finally:
            os.chdir(here)
    return place.target


def a_directory(place: Place) -> Path:
    place.target.mkdir()
    (place.target / "inside").write_bytes(b"precious\n")
    return place.target


def a_pipe(place: Place) -> Path:
    os.mkfifo(place.target)
    return place.target


def a_link_to_a_link(place: Place) -> Path:
    (place.elsewhere / "link").symlink_to(a_file_elsewhere(place))
    return place.link(place.elsewhere / "link")


def a_circle(place: Place) -> Path:
    return place.link(place.target)


def a_part_of_somebody(place: Place) -> Path:
    (place.directory / "target.part").write_bytes(b"precious\n")
    return place.target


def a_note_of_somebody(place: Place) -> Path:
    (place.directory / "target.part.json").write_bytes(b'{"mine": true}\n')
    return place.target


# Which of these is done without --overwrite, and which with it; all others are refused.
STATES: dict[str, tuple[Callable[[Place], Path], bool, bool]] = {
    "absent": (lambda place: place.target, True, True),
    "a file": (a_file, False, True),
    "an empty file": (lambda place: a_file(place, b""), False, True),
    "a database of another program": (a_database, False, True),
    "a report": (lambda place: a_file(place, REPORT), False, True),
    "a link to a file": (lambda place: place.link(a_file_elsewhere(place)), False, True),
    "a link to a link": (a_link_to_a_link, False, True),
    "a hard link to a file": (lambda place: place.hardlink(a_file_elsewhere(place)), False, True),
    "a link to nothing": (lambda place: place.link(place.elsewhere / "nothing"), False, False),
    "a link to itself": (a_circle, False, False),
    "a directory": (a_directory, False, False),
    "a link to a directory": (lambda place: place.link(place.elsewhere), False, False),
    "the directory": (lambda place: place.directory, False, False),
    "a socket": (a_socket, False, False),
    "a block device": (lambda place: a_device(place, stat.S_IFBLK, os.makedev(241, 241)), False, False),
    "no directory": (lambda place: place.directory / "nowhere" / "file", False, False),
    "a file for a directory": (lambda place: a_file_elsewhere(place) / "file", False, False),
    "too long a name": (lambda place: place.directory / ("x" * 300), False, False),
    "the store": (lambda place: place.store, False, False),
    "the store by another way": (lambda place: place.elsewhere / ".." / "userline.db", False, False),
    "a link to the store": (lambda place: place.link(place.store), False, False),
    "a hard link to the store": (lambda place: place.hardlink(place.store), False, False),
    "the log of the store": (lambda place: place.beside("-wal"), False, False),
    "a link to the log of the store": (lambda place: place.link(place.beside("-wal")), False, False),
    "a hard link to the log of the store": (lambda place: place.hardlink(place.beside("-wal")), False, False),
    "the index of the log": (lambda place: place.beside("-shm"), False, False),
    "the journal that the store may have": (lambda place: place.beside("-journal"), False, False),
}

# What is written to as it is by an export, and refused by all others.
STREAMS: dict[str, Callable[[Place], Path]] = {
    "a null device": lambda place: a_device(place, stat.S_IFCHR, os.makedev(1, 3)),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "READER_SECONDS", 0.05)
    for name in [name for name in os.environ if name.startswith("USERLINE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield from in_use(Place(tmp_path))


def in_use(place: Place, directory: Path | None = None) -> Iterator[Place]:
    """Yield a place whose store has users in it and is open in another program, as if a gateway ran."""
    (directory or place.directory).mkdir(exist_ok=True)
    done = invoke(place, "import", str(place.directory / "seed.jsonl"))
    assert done.exit_code == 0, done.output
    place.source.write_bytes(b'{"id": "bad"}\n{"id": "good", "name": "Good"}\n')
    with closing(sqlite3.connect(place.store, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM users").fetchone()
        yield place


def invoke(place: Place, *arguments: str) -> Result:
    return CliRunner().invoke(userline, [*arguments, "--store-url", f"sqlite:///{place.store}"])


COMMANDS: dict[str, Callable[[Place, Path], list[str]]] = {
    "export": lambda _, target: ["export", str(target)],
    "backup": lambda _, target: ["backup", str(target)],
    "import": lambda place, target: ["import", str(place.source), "--report", str(target)],
}


def check(place: Place, command: str, target: Path, *, overwrite: bool, may_be_done: bool) -> None:
    """Run a command and check that one of the two outcomes came."""
    before = place.contents()
    real = target.resolve() if may_be_done else target
    done = invoke(place, *COMMANDS[command](place, target), *(["--overwrite"] if overwrite else []))
    after = place.contents()
    assert not isinstance(done.exception, BaseException) or isinstance(done.exception, SystemExit), done.exception
    if not may_be_done:
        assert done.exit_code in {1, 2}, done.output
        assert "Error: " in done.output, done.output
        assert done.output.rstrip().endswith("."), done.output
        assert after == before
        return
    assert done.exit_code == (1 if command == "import" else 0), done.output
    if command == "export":
        assert real.read_bytes() == place.expected
    elif command == "backup":
        with closing(sqlite3.connect(f"{real.as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert copy.execute("SELECT count(*) FROM users").fetchone() == (USERS,)
    else:
        assert [orjson.loads(line)["line"] for line in real.read_bytes().splitlines()] == [1]
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    name = str(real.relative_to(place.directory))
    assert {key: what for key, what in after.items() if key != name} == {
        key: what for key, what in before.items() if key != name
    }


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", COMMANDS)
def test_done_whole_or_refused(place: Place, command: str, state: str, overwrite: bool) -> None:
    make, plainly, with_overwrite = STATES[state]
    may_be_done = with_overwrite if overwrite else plainly
    check(place, command, make(place), overwrite=overwrite, may_be_done=may_be_done)


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("state", STREAMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_devices_are_written_to_or_refused_and_never_replaced(
    place: Place, command: str, state: str, overwrite: bool
) -> None:
    target = STREAMS[state](place)
    if command != "export":
        check(place, command, target, overwrite=overwrite, may_be_done=False)
        return
    before = place.contents()
    done = invoke(place, "export", str(target), *(["--overwrite"] if overwrite else []))
    assert done.exit_code == 0, done.output
    assert place.contents() == before


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_that_nobody_reads_is_refused_and_never_replaced(place: Place, command: str, overwrite: bool) -> None:
    check(place, command, a_pipe(place), overwrite=overwrite, may_be_done=False)


@pytest.mark.parametrize("make", [a_part_of_somebody, a_note_of_somebody])
@pytest.mark.parametrize("option", ["--overwrite", "--restart", "--resume"])
def test_an_export_leaves_what_it_has_not_begun(place: Place, make: Callable[[Place], Path], option: str) -> None:
    target = make(place)
    before = place.contents()
    done = invoke(place, "export", str(target), option)
    assert done.exit_code == 1
    assert "Move it away." in done.output
    assert place.contents() == before


@pytest.mark.parametrize("overwrite", [False, True], ids=["", "overwrite"])
@pytest.mark.parametrize("name", ["users.jsonl", "link", "hardlink", "users.jsonl.import.json"])
def test_a_report_is_never_the_input_or_its_place(place: Place, name: str, overwrite: bool) -> None:
    target = place.directory / name
    if name == "link":
        target.symlink_to(place.source)
    elif name == "hardlink":
        target.hardlink_to(place.source)
    check(place, "import", target, overwrite=overwrite, may_be_done=False)


@pytest.mark.parametrize("data", [b"a note\n", b"[]\n", b"{}\n", b'{"id": "x", "name": "X"}\n', b""])
def test_a_report_has_its_usual_name_only_where_that_is_free_or_a_report(place: Place, data: bytes) -> None:
    usual = place.directory / "users.jsonl.refused.jsonl"
    usual.write_bytes(data)
    before = place.contents()
    done = invoke(place, "import", str(place.source))
    assert done.exit_code == 1
    assert "already exists" in done.output
    assert place.contents() == before
    usual.write_bytes(REPORT + REPORT)
    assert invoke(place, "import", str(place.source)).exit_code == 1
    assert [orjson.loads(line)["id"] for line in usual.read_bytes().splitlines()] == ["bad"]


def test_a_report_stays_where_nothing_is_refused(place: Place) -> None:
    usual = place.directory / "seed.jsonl.refused.jsonl"
    usual.write_bytes(REPORT)
    assert invoke(place, "import", str(place.directory / "seed.jsonl")).exit_code == 0
    assert usual.read_bytes() == REPORT


@pytest.mark.parametrize("data", [b"a note", b"[]", b'{"mine": 1}', b'{"identityX": {}}', "link", "directory"])
@pytest.mark.parametrize("option", ["--dry-run", "--restart"])
def test_an_import_keeps_its_place_in_no_file_of_somebody(place: Place, data: bytes | str, option: str) -> None:
    path = place.directory / "users.jsonl.import.json"
    if isinstance(data, bytes):
        path.write_bytes(data)
    elif data == "link":
        path.symlink_to(a_file_elsewhere(place))
    else:
        path.mkdir()
    before = place.contents()
    done = invoke(place, "import", str(place.source), option)
    assert done.exit_code == 1
    assert "Move it away." in done.output
    assert place.contents() == before


@pytest.mark.parametrize("way", ["path", "link", "hardlink", "log"])
def test_the_store_is_no_input(place: Place, way: str) -> None:
    source = {"path": place.store, "log": place.beside("-wal")}.get(way, place.target)
    if way == "link":
        place.target.symlink_to(place.store)
    elif way == "hardlink":
        place.target.hardlink_to(place.store)
    before = place.contents()
    done = invoke(place, "import", str(source))
    assert (done.exit_code, "of the user store" in done.output or "is the user store" in done.output) == (1, True)
    assert place.contents() == before


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("condition", ["full", "read-only"])
@pytest.mark.parametrize("there", [False, True], ids=["absent", "a file"])
def test_a_disk_that_cannot_be_written_leaves_what_is_there(
    place: Place, tmp_path_factory: pytest.TempPathFactory, command: str, condition: str, there: bool
) -> None:
    with small_disk(tmp_path_factory.mktemp("disks") / "disk", "1m") as disk:
        target = disk.path / "target"
        if there:
            target.write_bytes(b"precious\n")
        if condition == "full":
            disk.fill()
        else:
            disk.remount("ro")
        kept = {path.name: path.read_bytes() for path in disk.path.iterdir() if path.name != "ballast"}
        done = invoke(place, *COMMANDS[command](place, target), "--overwrite")
        assert done.exit_code == 1, done.output
        assert "Error: " in done.output
        assert done.output.rstrip().endswith(".")
        now = {path.name: path.read_bytes() for path in disk.path.iterdir() if path.name != "ballast"}
        # An export that cannot be ended leaves what it has, to be gone on with.
        assert {name: data for name, data in now.items() if not name.startswith("target.part")} == kept


def test_a_store_on_a_full_disk_can_be_exported_and_backed_up(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        place = Place(tmp_path)
        place.store = disk.path / "userline.db"
        assert invoke(place, "import", str(tmp_path / "seed.jsonl")).exit_code == 0
        disk.fill(leave=64 * 1024)  # SQLite's index of the log needs half of it
        assert invoke(place, "export", str(tmp_path / "out.jsonl")).exit_code == 0
        assert (tmp_path / "out.jsonl").read_bytes() == place.expected
        assert invoke(place, "backup", str(tmp_path / "out.db")).exit_code == 0


def test_commands_that_read_create_no_store(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    (tmp_path / "lines.jsonl").write_bytes(b'{"id": "a", "name": "A"}\n')
    (tmp_path / "good").write_bytes(b"a good backup\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("nowhere.db", "empty.db", "no directory/users.db"):
        for command in (
            ["export", f"{tmp_path}/good", "--overwrite"],
            ["export", f"{tmp_path}/good", "--overwrite", "--allow-empty"],
            ["export", "-"],
            ["backup", f"{tmp_path}/good", "--overwrite"],
            ["import", f"{tmp_path}/lines.jsonl", "--dry-run"],
            ["doctor"],
        ):
            done = CliRunner().invoke(userline, [*command, "--store-url", f"sqlite:///{tmp_path}/{name}"])
            is_fine = command[0] in {"import", "doctor"} and "no directory" not in name
            assert done.exit_code == 0 if is_fine else done.exit_code in {0, 1}, (command, name, done.output)
            if command[0] in {"export", "backup"}:
                assert done.exit_code == 1
                assert "Correct the URL of the user store" in done.output
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before, (command, name)


def test_an_export_of_no_users_says_so_and_replaces_nothing(tmp_path: Path) -> None:
    async def create() -> None:
        store = SQLiteUserStore(tmp_path / "userline.db", Rules())
        await store.open()
        await store.close()

    asyncio.run(create())
    place = Place(tmp_path)
    good = a_file(place)
    for command in (["export", str(good), "--overwrite"], ["export", "-"], ["export", str(tmp_path / "new")]):
        done = invoke(place, *command)
        assert done.exit_code == 1
        assert "has no users, so nothing was written" in done.output
    assert good.read_bytes() == b"precious\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "seed.jsonl", "target", "userline.db"]
    assert invoke(place, "export", str(good), "--overwrite", "--allow-empty").exit_code == 0
    assert good.read_bytes() == b""
