"""What an interrupted export leaves, and what may have happened to it before the next run."""

from __future__ import annotations

import asyncio
import io
import random
import time
from typing import TYPE_CHECKING

import orjson
import pytest

from tests.moving.generated import user
from tests.support.stores import MemoryStore
from userline.moving import part
from userline.moving.checkpoint import MoveRefused
from userline.moving.exporting import ExportOptions, export_to_file
from userline.moving.json_lines import parse_line
from userline.moving.part import Part
from userline.users.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: dict[str, object] = {"store": "this"}
COUNT = 2500


class Desk:
    """A store of many users, and an export that was interrupted after a page."""

    def __init__(self, directory: Path) -> None:
        self.store = MemoryStore()
        for number in range(COUNT):
            record = parse_line(orjson.dumps(user(number)), Rules(), now=1)
            self.store.users[record.snapshot.id] = record
        self.target = directory / "out.jsonl"
        self.part = directory / "out.jsonl.part"
        self.note = directory / "out.jsonl.part.json"
        self.screen = io.StringIO()

    async def export(self, *, interrupted: bool = False, **options: bool) -> bool:
        stop = asyncio.Event()
        if interrupted:
            stop.set()
        done = await export_to_file(
            self.store, self.target, IDENTITY, stop=stop, screen=self.screen, options=ExportOptions(**options)
        )
        return done.complete

    async def refusal(self) -> str:
        """Export; return why not, if it is refused."""
        try:
            assert await self.export()
        except MoveRefused as refused:
            return str(refused)
        return ""

    @property
    def expected(self) -> bytes:
        lines = {(value := user(number))["id"]: orjson.dumps(value) + b"\n" for number in range(COUNT)}
        return b"".join(lines[user_id] for user_id in sorted(lines))


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    assert not await desk.export(interrupted=True)
    return desk


async def test_it_says_that_it_goes_on(desk: Desk) -> None:
    assert await desk.export()
    assert f"Continuing {desk.part}, which has 1,000 users and was started at 20" in desk.screen.getvalue()
    assert desk.target.read_bytes() == desk.expected
    assert not desk.part.exists()
    assert not desk.note.exists()


async def test_users_who_were_created_meanwhile_come_with_their_turn(desk: Desk) -> None:
    record = parse_line(b'{"id": "zz", "name": "New", "createdAt": 1}', Rules(), now=1)
    desk.store.users["zz"] = record
    assert await desk.export()
    assert desk.target.read_bytes().startswith(desk.expected[:1000])
    assert b'"id":"zz"' in desk.target.read_bytes()


@pytest.mark.parametrize("seed", range(60))
async def test_whatever_happened_to_it_the_file_is_right_or_it_is_refused(desk: Desk, seed: int) -> None:
    dice = random.Random(seed)
    path = dice.choice([desk.part, desk.part, desk.note])
    data = path.read_bytes()
    at = dice.randrange(len(data))
    damaged = dice.choice(
        [
            data[:at],
            data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :],
            data[:at] + b"\0" * dice.randrange(1, 5000),
            data[:at] + data[at + dice.randrange(1, 500) :],
            data + dice.randbytes(dice.randrange(1, 5000)),
            dice.randbytes(dice.randrange(1, 5000)),
            b"",
            data + data,
            b"".join(dice.sample(lines := data.splitlines(keepends=True), len(lines))),
        ]
    )
    path.write_bytes(damaged)
    desk.target.write_bytes(b"precious")
    kept = {each: each.read_bytes() for each in (desk.part, desk.note)}
    told = await desk.refusal()
    if told:
        assert told.endswith(".")
        assert desk.target.read_bytes() == b"precious"
        assert {each: each.read_bytes() for each in kept} == kept
        # Nothing of ours is lost by beginning anew, where it can be told that it is ours.
        if "--restart" in told:
            assert await desk.export(restart=True)
            assert desk.target.read_bytes() == desk.expected
    else:
        assert desk.target.read_bytes() == desk.expected


async def test_an_old_one_is_gone_on_with_only_if_that_is_asked_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "OLD_SECONDS", -1)
    with pytest.raises(MoveRefused, match=r"started at 20.* Give --restart to start again, or --resume"):
        await desk.export()
    assert await desk.export(resume=True)
    assert desk.target.read_bytes() == desk.expected


async def test_two_exports_at_once_are_not_mixed(desk: Desk) -> None:
    with Part(desk.target, IDENTITY):
        for options in ({}, {"restart": True}):
            with pytest.raises(MoveRefused, match="Another export is writing"):
                await desk.export(**options)
    assert await desk.export()
    assert desk.target.read_bytes() == desk.expected


async def test_a_note_of_another_version_is_not_guessed_at(desk: Desk) -> None:
    note = orjson.loads(desk.note.read_bytes())
    note = {key: value for key, value in note.items() if key != "check"} | {"format": 2}
    desk.note.write_bytes(orjson.dumps(note | {"check": part._check(note)}))
    with pytest.raises(MoveRefused, match="Move it away"):
        await desk.export()


async def test_a_note_without_a_part_is_a_new_beginning(desk: Desk) -> None:
    desk.part.unlink()
    assert await desk.export()
    assert desk.target.read_bytes() == desk.expected


async def test_the_time_it_was_begun_stays(desk: Desk) -> None:
    begun = orjson.loads(desk.note.read_bytes())["begun"]
    assert begun <= time.time()
    assert not await desk.export(interrupted=True)
    note = orjson.loads(desk.note.read_bytes())
    assert (note["begun"], note["users"]) == (begun, 2000)
