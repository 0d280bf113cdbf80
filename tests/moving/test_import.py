"""Imports into a store in memory: what is written, what is refused, and what an interruption leaves behind."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.moving.generated import user
from tests.support.stores import MemoryStore
from userline.moving import batches, patience
from userline.moving.checkpoint import MoveRefused
from userline.moving.exporting import export_to_file, pages
from userline.moving.importing import Import, ImportOutcome, ImportPlan, OnExisting
from userline.moving.json_lines import encode_line, parse_line
from userline.users.errors import StoreUnavailable
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from userline.users.record import UserRecord
    from userline.users.replacement import Put


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LINES_A_BATCH", 10)


class Desk:
    """A file to import, a store to import it into, and everything that stays from run to run."""

    def __init__(self, directory: Path) -> None:
        self.store: MemoryStore = MemoryStore()
        self.stop = asyncio.Event()
        self.screen = io.StringIO()
        self.path = directory / "users.jsonl"
        self.report = directory / "refused.jsonl"
        self.checkpoint = directory / "checkpoint.json"
        self.identity: dict[str, object] = {"of": "this"}
        self.counts: dict[str, int] = {}
        self.resumed_at = 0

    def lines(self, *users: dict[str, Any] | bytes) -> None:
        self.path.write_bytes(
            b"".join(item if isinstance(item, bytes) else orjson.dumps(item) + b"\n" for item in users)
        )

    async def run(self, on_existing: OnExisting = OnExisting.REFUSE, **options: bool) -> ImportOutcome:
        with self.path.open("rb") as file:
            chosen: dict[str, Any] = {"skip_refused": False, "dry_run": False} | options
            plan = ImportPlan(
                source=self.path,
                file=file,
                size=self.path.stat().st_size,
                rules=Rules(),
                on_existing=on_existing,
                report=self.report,
                checkpoint=self.checkpoint,
                identity=self.identity,
                **chosen,
            )
            work = Import(self.store, plan, stop=self.stop, screen=self.screen)
            self.resumed_at = work.resumed_at
            outcome = await work.run()
            self.counts = {name: count for name, count in work.counts.items() if count}
            return outcome

    @property
    def refused(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.report.read_bytes().splitlines()]

    def holds(self, user_id: str) -> UserRecord:
        return self.store.users[user_id]


@pytest.fixture
async def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_every_user_is_created_as_it_is(desk: Desk) -> None:
    desk.lines(*map(user, range(35)))
    assert await desk.run() is ImportOutcome.DONE
    assert desk.counts == {"lines": 35, "created": 35}
    assert {encode_line(record) for record in desk.store.users.values()} == {
        orjson.dumps(user(number)) + b"\n" for number in range(35)
    }
    assert not desk.checkpoint.exists()
    assert not desk.report.exists()


async def test_a_refused_line_means_that_nothing_is_written_and_the_report_says_why(desk: Desk) -> None:
    desk.lines(user(1), b"{\n", {"id": "x", "name": "", "email": ["no"]}, user(2))
    assert await desk.run() is ImportOutcome.REFUSED
    assert desk.store.users == {}
    assert desk.counts == {"lines": 4, "refused": 2}
    assert [(item["line"], item["id"]) for item in desk.refused] == [(2, None), (3, "x")]
    assert [reason["field"] for reason in desk.refused[1]["reasons"]] == ["name", "email"]
    assert desk.report.stat().st_mode & 0o077 == 0
    assert not desk.checkpoint.exists()


async def test_the_good_lines_can_be_written_without_the_refused(desk: Desk) -> None:
    desk.lines(user(1), b"{\n", user(2))
    assert await desk.run(skip_refused=True) is ImportOutcome.DONE
    assert desk.counts == {"lines": 3, "refused": 1, "created": 2}
    assert [item["line"] for item in desk.refused] == [2]


async def test_a_dry_run_writes_nothing(desk: Desk) -> None:
    desk.lines(user(1))
    assert await desk.run(dry_run=True) is ImportOutcome.CHECKED
    desk.lines(user(1), b"{\n")
    assert await desk.run(dry_run=True, skip_refused=True) is ImportOutcome.REFUSED
    assert desk.store.users == {}


class TestUsersWhoExist:
    @pytest.fixture(autouse=True)
    async def exist(self, desk: Desk) -> None:
        desk.lines({"id": "a", "name": "Old", "version": 5}, {"id": "b", "name": "Same", "createdAt": 1})
        assert await desk.run() is ImportOutcome.DONE
        desk.lines({"id": "a", "name": "New"}, {"id": "b", "name": "Same", "createdAt": 1}, {"id": "c", "name": "C"})

    async def test_refuse(self, desk: Desk) -> None:
        assert await desk.run(OnExisting.REFUSE) is ImportOutcome.REFUSED
        assert desk.counts == {"lines": 3, "refused": 1}
        assert desk.refused == [
            {
                "line": 1,
                "id": "a",
                "reasons": [{"field": "id", "message": "id is that of a user who already exists with other values."}],
            }
        ]
        assert set(desk.store.users) == {"a", "b"}

    async def test_refuse_and_write_the_others(self, desk: Desk) -> None:
        assert await desk.run(OnExisting.REFUSE, skip_refused=True) is ImportOutcome.DONE
        assert desk.counts == {"lines": 3, "kept": 1, "same": 1, "created": 1}
        assert desk.holds("a").snapshot.name == "Old"

    async def test_skip(self, desk: Desk) -> None:
        assert await desk.run(OnExisting.SKIP) is ImportOutcome.DONE
        assert desk.counts == {"lines": 3, "kept": 1, "same": 1, "created": 1}
        assert desk.holds("a").snapshot.name == "Old"
        assert not desk.report.exists()

    async def test_replace(self, desk: Desk) -> None:
        assert await desk.run(OnExisting.REPLACE) is ImportOutcome.DONE
        assert desk.counts == {"lines": 3, "replaced": 1, "same": 1, "created": 1}
        assert (desk.holds("a").snapshot.name, desk.holds("a").snapshot.version) == ("New", 6)

    async def test_a_user_who_was_created_since_the_check_is_in_the_report(self, desk: Desk) -> None:
        desk.lines({"id": "late", "name": "Mine"})
        store = desk.store

        class Late(MemoryStore):
            async def put_many(
                self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False
            ) -> list[Put]:
                late = replace(records[0], snapshot=replace(records[0].snapshot, name="Theirs"))
                await store.put_many([late], overwrite=True)
                return await store.put_many(records, overwrite=overwrite, restore=restore)

        desk.store = Late()
        assert await desk.run() is ImportOutcome.DONE
        assert desk.counts == {"lines": 1, "kept": 1}
        assert [item["id"] for item in desk.refused] == ["late"]


@pytest.mark.parametrize(("on_existing", "name"), [(OnExisting.SKIP, "1"), (OnExisting.REPLACE, "3")])
async def test_the_lines_of_one_user_are_written_in_their_order(desk: Desk, on_existing: OnExisting, name: str) -> None:
    filler = [user(number) for number in range(25)]
    desk.lines({"id": "a", "name": "1"}, *filler, {"id": "a", "name": "2"}, {"id": "a", "name": "3"})
    assert await desk.run(on_existing) is ImportOutcome.DONE
    assert desk.holds("a").snapshot.name == name


class Failing(MemoryStore):
    """Stops the import, or goes away, after some batches."""

    def __init__(self, desk: Desk, after: int, failure: BaseException | None = None) -> None:
        super().__init__()
        self.puts = 0
        self._desk, self._after, self._failure = desk, after, failure

    async def put_many(self, records: Sequence[UserRecord], *, overwrite: bool, restore: bool = False) -> list[Put]:
        self.puts += 1
        if self.puts == self._after:
            if self._failure is not None:
                raise self._failure
            self._desk.stop.set()
        return await super().put_many(records, overwrite=overwrite, restore=restore)


async def test_an_interrupted_import_goes_on_where_it_was(desk: Desk) -> None:
    desk.lines(*map(user, range(100)), b"{\n")
    desk.store = Failing(desk, 4)
    assert await desk.run(skip_refused=True) is ImportOutcome.INTERRUPTED
    written = len(desk.store.users)
    assert 40 <= written < 100
    desk.stop.clear()
    assert await desk.run(skip_refused=True) is ImportOutcome.DONE
    assert desk.resumed_at == written
    assert desk.counts == {"lines": 101, "refused": 1, "created": 100}
    assert [item["line"] for item in desk.refused] == [101]


async def test_what_was_written_and_not_noted_is_written_again_to_no_effect(desk: Desk) -> None:
    desk.lines(*map(user, range(100)))
    desk.store = Failing(desk, 7, RuntimeError("the process is killed"))
    with pytest.raises(RuntimeError):
        await desk.run()
    before = dict(desk.store.users)
    assert await desk.run() is ImportOutcome.DONE
    assert 0 < desk.resumed_at < len(before)
    assert desk.counts["created"] + desk.counts["same"] == 100
    assert desk.counts["same"] == len(before) - desk.resumed_at
    assert all(desk.store.users[user_id] is record for user_id, record in before.items())


async def test_users_without_times_have_those_of_the_first_run(desk: Desk) -> None:
    desk.lines(*({"id": f"u{number}", "name": "A"} for number in range(100)))
    desk.store = Failing(desk, 7, RuntimeError("the process is killed"))
    with pytest.raises(RuntimeError):
        await desk.run()
    await asyncio.sleep(0.005)
    assert await desk.run() is ImportOutcome.DONE
    assert len({record.created_at for record in desk.store.users.values()}) == 1


async def test_an_interrupted_check_goes_on_and_the_report_has_each_line_once(desk: Desk) -> None:
    desk.lines(*(b"{\n" for _ in range(35)))

    class StopAtFirst(io.StringIO):
        def write(self, text: str) -> int:
            desk.stop.set()
            return super().write(text)

    desk.screen = StopAtFirst()
    assert await desk.run() is ImportOutcome.INTERRUPTED
    assert len(desk.refused) == 10
    with desk.report.open("ab") as report:
        report.write(b'{"line": 11, "written": "but not noted"}\n')
    desk.stop.clear()
    desk.screen = io.StringIO()
    assert await desk.run() is ImportOutcome.REFUSED
    assert desk.resumed_at == 10
    assert [item["line"] for item in desk.refused] == [*range(1, 36)]


async def test_another_file_or_store_is_not_gone_on_with(desk: Desk) -> None:
    desk.lines(*map(user, range(100)))
    desk.store = Failing(desk, 2)
    assert await desk.run() is ImportOutcome.INTERRUPTED
    desk.identity = {"of": "that"}
    with pytest.raises(MoveRefused, match="--restart"):
        await desk.run()


async def test_a_checkpoint_that_is_cut_off_is_a_new_beginning(desk: Desk) -> None:
    desk.checkpoint.write_bytes(b'{"identity": {"of"')
    desk.lines(user(1))
    assert await desk.run() is ImportOutcome.DONE


async def test_a_store_that_is_away_for_a_moment_is_waited_for(desk: Desk) -> None:
    desk.lines(*map(user, range(30)))
    desk.store = Failing(desk, 2, StoreUnavailable())
    assert await desk.run() is ImportOutcome.DONE
    assert len(desk.store.users) == 30


async def test_a_store_that_stays_away_ends_the_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience.patiently, "__defaults__", (0.05,))
    desk.lines(*map(user, range(30)))
    desk.store.failure = StoreUnavailable()
    with pytest.raises(StoreUnavailable):
        await desk.run()
    desk.store.failure = None
    assert await desk.run() is ImportOutcome.DONE
    assert len(desk.store.users) == 30


class TestExport:
    @pytest.fixture(autouse=True)
    def users(self, desk: Desk) -> None:
        for number in range(2500):
            record = parse_line(orjson.dumps(user(number)), Rules(), now=1)
            desk.store.users[record.snapshot.id] = record

    async def export(self, desk: Desk, path: Path) -> tuple[int, bool]:
        done = await export_to_file(desk.store, path, desk.identity, stop=desk.stop, screen=desk.screen)
        return done.users, done.complete

    def expected(self) -> bytes:
        lines = {(value := user(number))["id"]: orjson.dumps(value) + b"\n" for number in range(2500)}
        return b"".join(lines[user_id] for user_id in sorted(lines))

    async def test_all_users_in_order_of_id_and_for_the_owner_alone(self, desk: Desk, tmp_path: Path) -> None:
        path = tmp_path / "out.jsonl"
        assert await self.export(desk, path) == (2500, True)
        assert path.read_bytes() == self.expected()
        assert path.stat().st_mode & 0o077 == 0
        assert [item.name for item in tmp_path.iterdir()] == ["out.jsonl"]

    @pytest.mark.parametrize("damage", [b"", b'{"id": "cut o', b'{"id": "zz"}', b"\0\0\0\n\0"])
    async def test_an_interrupted_export_goes_on(self, desk: Desk, tmp_path: Path, damage: bytes) -> None:
        path, part = tmp_path / "out.jsonl", tmp_path / "out.jsonl.part"
        desk.stop.set()
        assert await self.export(desk, path) == (1000, False)
        assert not path.exists()
        with part.open("ab") as file:
            file.write(damage)
        desk.stop.clear()
        assert await self.export(desk, path) == (2500, True)
        assert path.read_bytes() == self.expected()

    async def test_another_store_is_not_gone_on_with(self, desk: Desk, tmp_path: Path) -> None:
        desk.stop.set()
        await self.export(desk, tmp_path / "out.jsonl")
        desk.identity = {"of": "that"}
        with pytest.raises(MoveRefused, match="of another store"):
            await self.export(desk, tmp_path / "out.jsonl")

    async def test_a_store_that_goes_away_in_the_middle_is_waited_for(self, desk: Desk) -> None:
        ids = []
        async for page in pages(desk.store):
            ids += [record.snapshot.id for record in page]
            desk.store.failure = StoreUnavailable() if len(ids) == 1000 else None
            asyncio.get_running_loop().call_later(0.15, setattr, desk.store, "failure", None)
        assert ids == sorted(desk.store.users)

    async def test_a_multiple_of_a_page_ends(self, desk: Desk) -> None:
        for user_id in sorted(desk.store.users)[2000:]:
            del desk.store.users[user_id]
        assert [len(page) async for page in pages(desk.store)] == [1000, 1000]
