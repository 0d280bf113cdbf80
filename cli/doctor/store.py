"""Checks whether the store exists, can be written, and is suitable for production."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from userline.cli.doctor.clock import compare
from userline.cli.doctor.distance import judge_distance, usable_cores
from userline.cli.doctor.findings import advice, ok, problem
from userline.storage.mongo import MongoUserStore
from userline.storage.protocol import StoreFormatError, StoreMissing, StoreRefused
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.examination import examine_file
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings
    from userline.storage.mongo.examination import DeploymentFacts
    from userline.storage.protocol import UserStore
    from userline.storage.sqlite.examination import FileFacts

_PART: Final = "store"
_MUCH: Final = 1 << 30
_TOO_LITTLE: Final = 32 << 20
_SLOW_SECONDS: Final = 0.1


async def examine_store(settings: Settings, store: UserStore) -> AsyncIterator[Finding]:
    """Yield what is found. A store that is not there yet is not created."""
    if isinstance(store, SQLiteUserStore):
        findings, may_open = _examine_file(store)
        for finding in findings:
            yield finding
        if not may_open:
            return
    started = time.perf_counter()
    try:
        await store.open(create=False)
    except StoreMissing:
        async for finding in _examine_nothing(settings, store):
            yield finding
        return
    except (StoreUnavailable, StoreFormatError) as error:
        text, _, what_to_do = error.args[0].partition(". ")
        yield problem(_PART, f"{text}.", what_to_do or "Check USERLINE_STORE_URL.")
        return
    async for finding in _examine_open(settings, store, started):
        yield finding


async def _examine_open(settings: Settings, store: UserStore, started: float) -> AsyncIterator[Finding]:
    """Yield what is found of a store that is open, and close it."""
    try:
        opened = time.perf_counter()
        await store.ping()
        answered = time.perf_counter()
        yield ok(_PART, f"It opened in {(opened - started) * 1000:.0f} ms and can be read and written.")
        if isinstance(store, MongoUserStore):
            for finding in await _examine_mongo(settings, store):
                yield finding
        elif answered - opened > _SLOW_SECONDS:
            yield advice(
                _PART,
                f"A ping took {(answered - opened) * 1000:.0f} ms. Every read of a user who is not in memory takes at "
                "least that long.",
                "Move the file to a faster, local disk, or one with less load.",
            )
    except StoreRefused as error:
        text, _, what_to_do = error.args[0].partition(". ")
        yield problem(_PART, f"{text}.", what_to_do)
    except StoreUnavailable:
        is_file = isinstance(store, SQLiteUserStore)
        yield problem(
            _PART,
            "It was opened, but a read or a write failed.",
            "The log above has the reason and what to do about it."
            if is_file
            else "Read the log above. Grant the user in the URL the role readWrite on the database.",
        )
    finally:
        await store.close()


async def _examine_nothing(settings: Settings, store: UserStore) -> AsyncIterator[Finding]:
    """Yield what is found where there is no store yet."""
    if isinstance(store, MongoUserStore):
        yield advice(
            _PART,
            f"There is no database {store.url.database} of userline yet; the gateway will create it.",
            "If there should be users, correct USERLINE_STORE_URL, which names the database.",
        )
        try:
            for finding in await _examine_mongo(settings, store):
                yield finding
        except StoreUnavailable:
            yield problem(_PART, "It answered at first, and then stopped answering.", "The log above has the reason.")
    else:
        yield ok(_PART, "The file is empty. The gateway will create a store in it.")


def _examine_file(store: SQLiteUserStore) -> tuple[list[Finding], bool]:
    """Return what is found, and whether there is a file to be opened."""
    try:
        facts = examine_file(store.path, store.mode)
    except OSError as error:
        return [
            problem(
                _PART,
                f"The directory of {store.path} cannot be used: {error.strerror}.",
                "Create it for the user who runs userline, or name another file in USERLINE_STORE_URL.",
            )
        ], False
    return _judge_file(store, facts), facts.exists and facts.writable


def _judge_file(store: SQLiteUserStore, facts: FileFacts) -> list[Finding]:
    where = f"SQLite {facts.sqlite_version}, {store.path}"
    if not facts.writable:
        return [
            problem(
                _PART,
                f"{where}: this user may not write {'it' if facts.exists else 'its directory'}.",
                "Give the file and its directory to the user who runs userline, or name another file in "
                "USERLINE_STORE_URL.",
            )
        ]
    findings = [
        ok(_PART, f"{where}: {_size(facts.size)}, and {_size(facts.free)} free on the disk.")
        if facts.exists
        else ok(_PART, f"{where}: not there yet; the gateway will create it. {_size(facts.free)} free on the disk.")
    ]
    if facts.not_written is not None and facts.free >= _TOO_LITTLE:
        findings.append(
            problem(
                _PART,
                f"Nothing can be written in {store.path.parent}: {facts.not_written}.",
                "Check the disk, its quota and its inodes (df -h, df -i, quota), and whether the directory is "
                "writable.",
            )
        )
    if facts.most_size is not None and facts.most_size < facts.size + facts.log_size + _MUCH:
        judge = problem if facts.most_size < facts.size + _TOO_LITTLE else advice
        findings.append(
            judge(
                _PART,
                f"Processes of this user cannot create files larger than {_size(facts.most_size)}, and the store has "
                f"{_size(facts.size)}. When it reaches that limit, every write fails.",
                "Raise the limit (ulimit -f unlimited; LimitFSIZE=infinity in a systemd unit).",
            )
        )
    if facts.free < _TOO_LITTLE:
        findings.append(
            problem(
                _PART,
                f"Only {_size(facts.free)} are free on the disk: writes fail, or will fail soon.",
                "Free some space, or move the file (stop the gateway first).",
            )
        )
    elif facts.free < max(facts.size // 2, _MUCH):
        findings.append(
            advice(
                _PART,
                f"Only {_size(facts.free)} are free on the disk; when it is full, every write fails.",
                "Free some space, or move the file (stop the gateway first).",
            )
        )
    if facts.wide_mode is not None:
        what = (
            "Other users of the machine than the owner may use the file, which has the data of users (mode "
            f"{facts.wide_mode:04o})."
        )
        findings.append(
            advice(
                _PART,
                what,
                f"The gateway corrects the mode when it starts. To correct it now: chmod {store.mode:04o} "
                f"{store.path}*",
            )
            if facts.is_own
            else problem(
                _PART,
                what,
                f"Its owner, who is another user, can correct the mode: chmod {store.mode:04o} {store.path}*",
            )
        )
    if facts.holders:
        findings.append(
            problem(
                _PART,
                f"The file was deleted or replaced while a process ({', '.join(map(str, facts.holders))}) had it open. "
                "The process still writes to the old file.",
                "Stop these processes, put the file back (from a backup if need be), and start them again.",
            )
        )
    if facts.log_size > _MUCH:
        findings.append(
            advice(
                _PART,
                f"The write-ahead log has grown to {_size(facts.log_size)}: some program keeps a read transaction open "
                "for a long time.",
                "Find the program that has the file open, and stop it.",
            )
        )
    return findings


async def _examine_mongo(settings: Settings, store: MongoUserStore) -> list[Finding]:
    distance = await store.measure()
    return _judge_deployment(settings, await store.examine()) + judge_distance(store.driver, distance, usable_cores())


def _judge_deployment(settings: Settings, facts: DeploymentFacts) -> list[Finding]:
    kind = (
        "a sharded cluster"
        if facts.is_sharded
        else f"the replica set {facts.replica_set} of {facts.members}"
        if facts.replica_set
        else "a single server"
    )
    findings = [ok(_PART, f"MongoDB {facts.version}, {kind}.")]
    if facts.is_old:
        findings.append(
            advice(
                _PART, f"MongoDB {facts.version} is older than what userline is written for.", "Use MongoDB 6 or newer."
            )
        )
    if not facts.replica_set and not facts.is_sharded:
        if settings.change_stream:
            findings.append(
                problem(
                    _PART,
                    "A single server has no change stream.",
                    "Start mongod with --replSet and run rs.initiate() once, or do not set USERLINE_CHANGE_STREAM.",
                )
            )
        findings.append(
            advice(
                _PART,
                "A single server is not available whenever its machine is not, and can lose acknowledged writes.",
                "Run a replica set of three.",
            )
        )
    return findings + _judge_collection(facts)


def _judge_collection(facts: DeploymentFacts) -> list[Finding]:
    findings = []
    if facts.other_indexes:
        findings.append(
            advice(
                _PART,
                f"userline reads users by _id alone; each write also maintains {', '.join(facts.other_indexes)}.",
                "Drop these indexes unless another program reads by them"
                + (", or one of them is of the shard key." if facts.is_sharded else "."),
            )
        )
    if facts.unique_indexes:
        findings.append(
            problem(
                _PART,
                "Users with an equal value in a field are refused by these unique indexes: "
                f"{', '.join(facts.unique_indexes)}.",
                "Drop these unique indexes: in userline, only ids are unique.",
            )
        )
    if facts.expiring_indexes:
        findings.append(
            problem(
                _PART,
                f"MongoDB deletes users automatically, because of {', '.join(facts.expiring_indexes)} "
                "(expireAfterSeconds).",
                "Drop these indexes, unless users are meant to expire.",
            )
        )
    if facts.has_validator:
        findings.append(
            advice(
                _PART,
                "A validator of the collection may refuse users. Callers then get an internal error.",
                "Remove it (collMod), or check that it accepts every user that docs/mongodb.md describes.",
            )
        )
    if facts.seconds_ahead is not None:
        findings.append(compare("MongoDB", facts.seconds_ahead))
    return findings


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
