"""From a file into a store: first every line is checked, then the users are written, many at once.

How far it has come is saved after every batch. A run that is interrupted, even by ``kill -9``, costs the batches that
were under way: the next run writes them again, which does nothing to users who are there already.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from userline.moving.batches import Batches
from userline.moving.checkpoint import Checkpoint, MoveRefused
from userline.moving.patience import patiently
from userline.moving.progress import Progress
from userline.moving.refusal_report import RefusalReport
from userline.users.errors import Problem
from userline.users.replacement import Put, put

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from userline.moving.batches import Batch
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord
    from userline.users.rules import Rules

BATCHES_UNDER_WAY: Final = 4

_EXISTS: Final = Problem("id", "id is that of a user who already exists with other values.")
_DELETED: Final = Problem("id", "id is that of a user who was deleted after the time of this line.")


class OnExisting(StrEnum):
    """What is done with a line whose user exists with other values. An equal user is never written."""

    SKIP = "skip"
    REPLACE = "replace"
    REFUSE = "refuse"


class OnDeleted(StrEnum):
    """What is done with a line whose user was deleted later: its version is below that of the deletion."""

    SKIP = "skip"
    RESTORE = "restore"
    REFUSE = "refuse"


class ImportOutcome(StrEnum):
    """How an import ended."""

    DONE = "done"
    CHECKED = "checked"
    """Every line is good, and nothing was to be written."""
    REFUSED = "refused"
    """Some lines are refused, so nothing was written."""
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPlan:
    """The options of an import."""

    source: Path | None
    """None: what is in ``file`` is all there is, and nothing is kept for a next run."""
    file: BinaryIO
    size: int
    rules: Rules
    on_existing: OnExisting
    skip_refused: bool
    """Write the valid lines even if others are refused."""
    dry_run: bool
    report: Path
    checkpoint: Path | None
    identity: dict[str, object]
    on_deleted: OnDeleted = OnDeleted.REFUSE
    overwrite_report: bool = True
    """A report may take the place of what is there."""


class Import:
    """One run of an import.

    ``counts`` has how many ``lines`` there are. Of a whole import, it has how many of them were ``refused`` as they
    stand and how many came to each of :class:`Put`, which is all lines together.

    A store that is not there yet (``is_there``) is not open either; it is created when there is something to write.
    """

    def __init__(
        self, store: UserStore, plan: ImportPlan, *, stop: asyncio.Event, screen: TextIO, is_there: bool = True
    ) -> None:
        self._store = store
        self._is_there = is_there
        self._plan = plan
        self._stop = stop
        self._screen = screen
        self._state = self._load()
        self.resumed_at = self._state.line
        self.counts: Counter[str] = Counter(self._state.counts)
        if not is_there and self._state.phase == "write":
            raise MoveRefused(
                "The store of the interrupted import does not exist any more. Give --restart to start again."
            )
        self._report = self._new_report(self._state.report_size)

    async def run(self) -> ImportOutcome:
        """Check and write. Raises StoreUnavailable and StoreFormatError; the next run goes on from there."""
        try:
            outcome = await self._run()
            self._report.finish()
        finally:
            self._report.close()
        if outcome is not ImportOutcome.INTERRUPTED:
            self._forget()
        return outcome

    async def _run(self) -> ImportOutcome:
        if self._state.phase == "check":
            await self._check()
            if self._stop.is_set():
                return ImportOutcome.INTERRUPTED
            if self._plan.dry_run or (self.counts["refused"] and not self._plan.skip_refused):
                return ImportOutcome.REFUSED if self.counts["refused"] else ImportOutcome.CHECKED
            # What is refused is found out once more while the others are written: users may come and go until then.
            checked, self._report = self._report, self._new_report(0)
            self._state.phase, self.counts = "write", Counter(lines=self.counts["lines"])
            self._save(0, 0)
            checked.discard()
        if not self._is_there and self.counts["lines"]:
            await self._store.open()
        await self._write()
        if self._stop.is_set():
            return ImportOutcome.INTERRUPTED
        return ImportOutcome.DONE

    async def _check(self) -> None:
        async for batch in self._batches("checking"):
            for line, refused in batch.refused:
                self._report.add(line, refused.user_id, refused.problems)
            self.counts["lines"] += len(batch.users) + len(batch.refused)
            self.counts["refused"] += len(batch.refused)
            if self._plan.on_existing is OnExisting.REFUSE and self._is_there:
                await self._refuse_existing(batch)
            if self._plan.on_deleted is OnDeleted.REFUSE and self._is_there:
                await self._refuse_deleted(batch)
            self._save(batch.offset, batch.line)

    async def _refuse_existing(self, batch: Batch) -> None:
        ids = list(batch.users)
        found = await patiently(partial(self._store.get_many, ids))
        for (line, record), existing in zip(batch.users.values(), found, strict=True):
            timed = self._timed_as(record, existing)
            what, _ = put(timed, existing, now=self._state.now, overwrite=False)
            if what is Put.KEPT:
                self._report.add(line, record.snapshot.id, [_EXISTS])
                self.counts["refused"] += 1

    async def _refuse_deleted(self, batch: Batch) -> None:
        deletions = await patiently(partial(self._store.deletions, list(batch.users)))
        ids = [
            user_id
            for user_id, (_, record) in batch.users.items()
            if record.snapshot.version <= deletions.get(user_id, 0)
        ]
        if not ids:
            return
        found = await patiently(partial(self._store.get_many, ids))
        for user_id, existing in zip(ids, found, strict=True):
            if existing is None:  # and was not created again
                self._report.add(batch.users[user_id][0], user_id, [_DELETED])
                self.counts["refused"] += 1
                self.counts["refused_as_deleted"] += 1

    async def _write(self) -> None:
        """Write batches, some at once, and take note of them in their order."""
        under_way: deque[tuple[Batch, asyncio.Task[list[Put]]]] = deque()
        try:
            async for batch in self._batches("writing"):
                # Two lines of one user must be written one after the other.
                while under_way and (
                    len(under_way) >= BATCHES_UNDER_WAY
                    or any(not batch.users.keys().isdisjoint(other.users) for other, _ in under_way)
                ):
                    self._take_note(*(under_way[0][0], await under_way[0][1]))
                    under_way.popleft()
                under_way.append((batch, asyncio.create_task(self._put(batch))))
            while under_way:
                self._take_note(under_way[0][0], await under_way[0][1])
                under_way.popleft()
        finally:
            await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)

    async def _put(self, batch: Batch) -> list[Put]:
        records = [record for _, record in batch.users.values()]
        if any(self._is_untimed(record) for record in records):
            found = await patiently(partial(self._store.get_many, list(batch.users)))
            records = [self._timed_as(*pair) for pair in zip(records, found, strict=True)]
        overwrite = self._plan.on_existing is OnExisting.REPLACE
        restore = self._plan.on_deleted is OnDeleted.RESTORE
        return await patiently(partial(self._store.put_many, records, overwrite=overwrite, restore=restore))

    def _is_untimed(self, record: UserRecord) -> bool:
        """Whether the line leaves out a time, so that it is that of the import."""
        return self._state.now in (record.created_at, record.updated_at)

    def _timed_as(self, record: UserRecord, existing: UserRecord | None) -> UserRecord:
        """Return the record with the times of the user who exists where it has none, if it is the same user then.

        A line that says no times says nothing against those: so a file that is imported again does nothing.
        """
        if existing is None or not self._is_untimed(record):
            return record
        now = self._state.now
        timed = replace(
            record,
            created_at=existing.created_at if record.created_at == now else record.created_at,
            updated_at=existing.updated_at if record.updated_at == now else record.updated_at,
        )
        return timed if put(timed, existing, now=now, overwrite=False)[0] is Put.SAME else record

    def _take_note(self, batch: Batch, outcomes: list[Put]) -> None:
        self.counts.update(outcome.value for outcome in outcomes)
        self.counts["refused"] += len(batch.refused)
        refused = [(line, each.user_id, list(each.problems)) for line, each in batch.refused]
        for (line, record), outcome in zip(batch.users.values(), outcomes, strict=True):
            if outcome is Put.KEPT and self._plan.on_existing is OnExisting.REFUSE:
                refused.append((line, record.snapshot.id, [_EXISTS]))
            elif outcome is Put.DELETED and self._plan.on_deleted is OnDeleted.REFUSE:
                refused.append((line, record.snapshot.id, [_DELETED]))
        for line, user_id, problems in sorted(refused, key=itemgetter(0)):
            self._report.add(line, user_id, problems)
        self._save(batch.offset, batch.line)

    async def _batches(self, label: str) -> AsyncIterator[Batch]:
        """Yield the batches from where the last run came to, until the end or the stop, and show how far it is."""
        plan, state = self._plan, self._state
        progress = Progress(self._screen, label, plan.size, already=state.line)
        at, line = state.offset, state.line
        progress.show(at, line)
        for batch in Batches(plan.file, plan.rules, now=state.now, offset=state.offset, line=state.line):
            yield batch
            at, line = batch.offset, batch.line
            progress.show(at, line)
            await asyncio.sleep(0)
            if self._stop.is_set():
                break
        progress.finish(at, line)

    def _load(self) -> Checkpoint:
        """Return where the last run came to, or a new beginning. Raises MoveRefused."""
        fresh = Checkpoint(self._plan.identity, now=time.time_ns() // 1_000_000)
        path = self._plan.checkpoint
        known = Checkpoint.load(path) if path else None
        if known is None:
            return fresh
        if known.identity != fresh.identity:
            raise MoveRefused(
                f"{path} belongs to another import: the file has changed since, or the store or the options are "
                "different. Give --restart to start again."
            )
        return known

    def _save(self, offset: int, line: int) -> None:
        state = self._state
        state.offset, state.line = offset, line
        state.report_size, state.counts = self._report.size, dict(self.counts)
        if self._plan.checkpoint is not None:
            state.save(self._plan.checkpoint)

    def _new_report(self, size: int) -> RefusalReport:
        return RefusalReport(self._plan.report, size, overwrite=self._plan.overwrite_report)

    def _forget(self) -> None:
        if self._plan.checkpoint is not None:
            self._plan.checkpoint.unlink(missing_ok=True)
