"""Several processes on one file, processes that are killed, and processes whose disk fails."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.storage.write_storm import RULES
from userline.storage.sqlite import SQLiteUserStore

STORM = Path(__file__).with_name("write_storm.py")
IDS = [f"user-{number}" for number in range(5)]


def start_storm(path: Path, caller: str, count: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-W", "error", str(STORM), str(path), caller, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def check_acknowledged(path: Path, lines: list[str]) -> None:
    """Check that all writes that were printed are in the file, or later ones of the same key."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = SQLiteUserStore(path, RULES)
    await store.open()
    users = {user: record for user, record in zip(IDS, await store.get_many(IDS), strict=True) if record}
    await store.close()
    for line in lines:
        user, key, number, version = line.split()
        assert int(users[user].snapshot.custom[key]) >= int(number)
        assert users[user].snapshot.version >= int(version)


async def test_killed_processes_lose_no_acknowledged_write(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    lines: list[str] = []
    for kill in range(4):
        with start_storm(path, f"kill{kill}", 1_000_000) as process:
            assert process.stdout is not None
            try:
                lines += [process.stdout.readline() for _ in range(200 + 377 * kill)]
            finally:
                process.kill()
            # What came before the kill may end in the middle of a line.
            lines += [line for line in process.stdout if line.endswith("\n")]
        assert process.returncode == -9
        assert all(line.endswith("\n") for line in lines)
        await check_acknowledged(path, lines)


async def test_processes_on_one_new_file_lose_no_update(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    storms = [start_storm(path, f"process{number}", 20) for number in range(3)]
    lines = [line for process in storms for line in process.communicate()[0].splitlines()]
    assert [process.returncode for process in storms] == [0, 0, 0]
    assert len(lines) == 3 * 40 * 20
    await check_acknowledged(path, lines)
    for user in IDS:
        versions = [int(line.split()[3]) for line in lines if line.split()[0] == user]
        assert len(versions) == len(set(versions)) == 3 * 8 * 20


FULL_DISK = """
import asyncio, resource, sys, threading, time
from userline.storage.protocol import WriteResult
from userline.storage.sqlite import SQLiteUserStore
from userline.users.errors import StoreUnavailable
from userline.users.patch import parse_patch
from userline.users.rules import Rules

IDS = [f"user {number}" for number in range(200)]

# The writing thread asks what time it is in the middle of a group. Held up there, it takes all that comes meanwhile as
# the next group; not held up, it takes what there is, and the first few have room on any disk.
asked, may_go_on = threading.Event(), threading.Event()

def clock():
    asked.set()
    may_go_on.wait()
    return time.time_ns() // 1_000_000

async def main(path):
    store = SQLiteUserStore(path, Rules(), clock)
    await store.open()
    async def write(user_id):
        patch = parse_patch({"name": "Alice", "welcomeMessage": "x" * 5000}, Rules())
        return await store.patch(user_id, patch)
    may_go_on.set()
    for user_id in IDS[:10]:
        await write(user_id)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, unlimited[1]))
    may_go_on.clear()
    asked.clear()
    first = asyncio.create_task(write(IDS[10]))
    await asyncio.to_thread(asked.wait)
    others = [asyncio.create_task(write(user_id)) for user_id in IDS[11:]]
    await asyncio.sleep(0)
    may_go_on.set()
    outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [WriteResult] + [StoreUnavailable] * 189, outcomes
    there = [user is not None for user in await store.get_many(IDS)]
    assert there == [True] * 11 + [False] * 189, there
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    await asyncio.gather(*map(write, IDS[10:]))
    await store.close()
    await store.open()
    assert all(await store.get_many(IDS))
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_fails_whole_groups_and_heals(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path / "users.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "The user database failed (userline-write)." in run.stderr
    assert "sqlite3.OperationalError" in run.stderr


NEVER_CLOSED = """
import asyncio, sys
from userline.storage.sqlite import SQLiteUserStore
from userline.users.patch import parse_patch
from userline.users.rules import Rules

async def main(path):
    store = SQLiteUserStore(path, Rules())
    await store.open()
    await store.patch("alice", parse_patch({"name": "Alice"}, Rules()))

asyncio.run(main(sys.argv[1]))
"""


async def test_a_program_that_never_closes_its_store_ends(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    run = subprocess.run(
        [sys.executable, "-c", NEVER_CLOSED, str(path)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (run.returncode, run.stderr) == (0, "")
    store = SQLiteUserStore(path, RULES)
    await store.open()
    assert (await store.get_many(["alice"]))[0] is not None
    await store.close()


READ_ONLY = """
import asyncio, os, sys
from userline.storage.sqlite import SQLiteUserStore
from userline.users.errors import StoreUnavailable
from userline.users.rules import Rules

async def main(path):
    store = SQLiteUserStore(path, Rules())
    try:
        await store.open()
    except StoreUnavailable as error:
        print(error)

if os.geteuid() == 0:
    os.setuid(65534)
asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that any user may enter: pytest's own are for their maker alone."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


@pytest.mark.parametrize("exists", [True, False])
async def test_a_directory_that_may_not_be_written(open_to_all: Path, *, exists: bool) -> None:
    path = open_to_all / "users.db"
    if exists:
        store = SQLiteUserStore(path, RULES)
        await store.open()
        await store.close()
        path.chmod(0o444)
    open_to_all.chmod(0o555)
    run = subprocess.run(
        [sys.executable, "-c", READ_ONLY, str(path)], capture_output=True, text=True, check=False, cwd=open_to_all
    )
    assert run.returncode == 0, run.stderr
    assert str(path) in run.stdout
    assert "Check that the user who runs userline may write the file and its directory" in run.stdout
    assert os.listdir(open_to_all) == (["users.db"] if exists else [])  # noqa: PTH208 - names alone
