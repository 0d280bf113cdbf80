"""``userline doctor``: a disk that is full, in every way in which one is, is found before the first write fails."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.support.disks import small_disk
from tests.support.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


def visit(directory: Path, most_size: int | None = None, *, user: int | None = None) -> tuple[int, dict[str, str]]:
    """Return the exit code, and what is said of the store by level."""

    def limit() -> None:
        if most_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_size, most_size))

    command = [sys.executable, "-m", "userline", "doctor", "--json", "--port", str(free_port())]
    done = subprocess.run(
        [*command, "--store-url", f"sqlite:///{directory}/users.db"],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        preexec_fn=limit,
        user=user,
    )
    findings = json.loads(done.stdout)["findings"]
    told: dict[str, str] = {}
    for item in findings:
        if item["part"] == "store":
            told[item["level"]] = f"{told.get(item['level'], '')}{item['text']} {item['advice']}\n"
    return done.returncode, told


@pytest.mark.parametrize("has_store", [False, True])
def test_a_disk_that_is_full(tmp_path: Path, *, has_store: bool) -> None:
    with small_disk(tmp_path / "disk", "48m") as disk:
        if has_store:
            assert visit_by_a_gateway(disk.path) == 0
        code, told = visit(disk.path)
        assert (code, "problem" in told) == (0, False), told
        disk.fill()
        code, told = visit(disk.path)
    assert code == 1
    assert "are free on the disk" in told["problem"]
    assert "Free some space" in told["problem"]


def visit_by_a_gateway(directory: Path) -> int:
    """Have a store made."""
    code = (
        "import asyncio\n"
        "from userline.storage.sqlite import SQLiteUserStore\n"
        "from userline.users.rules import Rules\n"
        "async def make():\n"
        f"    store = SQLiteUserStore({str(directory / 'users.db')!r}, Rules())\n"
        "    await store.open()\n"
        "    await store.close()\n"
        "asyncio.run(make())\n"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, timeout=150).returncode


def test_a_disk_without_inodes(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "48m,nr_inodes=8") as disk:
        for number in range(20):
            try:
                (disk.path / f"file{number}").touch()
            except OSError:
                break
        code, told = visit(disk.path)
    assert code == 1
    assert "Nothing can be written in" in told["problem"]
    assert "No space left on device" in told["problem"]


def test_a_disk_that_is_mounted_to_be_read(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "48m") as disk:
        disk.remount("ro")
        code, told = visit(disk.path)
    assert code == 1
    assert "may not write its directory" in told["problem"] or "Read-only file system" in told["problem"]


@pytest.mark.parametrize(("most_size", "level"), [(1 << 20, "problem"), (100 << 20, "advice"), (4 << 30, None)])
def test_a_limit_of_how_large_files_may_be(tmp_path: Path, most_size: int, level: str | None) -> None:
    code, told = visit(tmp_path, most_size)
    said = [name for name, text in told.items() if "cannot create files larger than" in text]
    assert said == ([] if level is None else [level])
    assert code == (1 if level == "problem" else 0)


def test_nothing_is_left_of_what_is_tried(tmp_path: Path) -> None:
    before = list(tmp_path.iterdir())
    visit(tmp_path)
    assert list(tmp_path.iterdir()) == before
