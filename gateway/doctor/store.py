"""Is the store there, may it be written, and is it one for production?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from userline.gateway.doctor.clock import compare
from userline.gateway.doctor.findings import advice, ok, problem
from userline.storage.mongo import MongoUserStore
from userline.storage.protocol import StoreFormatError
from userline.storage.sqlite import SQLiteUserStore
from userline.storage.sqlite.examination import examine_file
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from userline.gateway.doctor.findings import Finding
    from userline.gateway.settings import Settings
    from userline.storage.mongo.examination import DeploymentFacts
    from userline.storage.protocol import UserStore
    from userline.storage.sqlite.examination import FileFacts

_PART: Final = "store"
_MUCH: Final = 1 << 30
_SLOW_SECONDS: Final = 0.1


async def examine_store(settings: Settings, store: UserStore) -> AsyncIterator[Finding]:
    """Yield what is found. A SQLite file that is not there yet is not created."""
    if isinstance(store, SQLiteUserStore):
        findings, may_open = _examine_file(store)
        for finding in findings:
            yield finding
        if not may_open:
            return
    started = time.perf_counter()
    try:
        await store.open()
    except (StoreUnavailable, StoreFormatError) as error:
        text, _, what_to_do = error.args[0].partition(". ")
        yield problem(_PART, f"{text}.", what_to_do or "Check USERLINE_STORE_URL.")
        return
    try:
        opened = time.perf_counter()
        await store.ping()
        answered = time.perf_counter()
        yield ok(_PART, f"It opened in {(opened - started) * 1000:.0f} ms and can be read and written.")
        if answered - opened > _SLOW_SECONDS:
            yield advice(
                _PART,
                f"A ping took {(answered - opened) * 1000:.0f} ms, which every read of a user who is not held waits.",
                "Run the gateways nearer to the store.",
            )
        if isinstance(store, MongoUserStore):
            facts_of_servers = await store.examine()
            for finding in _judge_deployment(settings, facts_of_servers):
                yield finding
            if facts_of_servers.seconds_ahead is not None:
                yield compare("MongoDB", facts_of_servers.seconds_ahead)
    except StoreUnavailable:
        yield problem(
            _PART,
            "It opened, but did not do what it was asked to.",
            "Look at the log above; grant the user in the URL the role readWrite on the database.",
        )
    finally:
        await store.close()


def _examine_file(store: SQLiteUserStore) -> tuple[list[Finding], bool]:
    """Return what is found, and whether there is a file to be opened."""
    try:
        facts = examine_file(store.path)
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
    if facts.free < max(facts.size // 2, _MUCH):
        findings.append(
            advice(
                _PART,
                f"Only {_size(facts.free)} are free on the disk; when it is full, every write fails.",
                "Make room, or move the file (stop the gateway first).",
            )
        )
    if facts.log_size > _MUCH:
        findings.append(
            advice(
                _PART,
                f"The write-ahead log has grown to {_size(facts.log_size)}: some program keeps a read open for long.",
                "Find what else has the file open, and end it.",
            )
        )
    return findings


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
                    "Start mongod with --replSet and run rs.initiate() once, or leave USERLINE_CHANGE_STREAM out.",
                )
            )
        findings.append(
            advice(
                _PART,
                "A single server is away as often as its machine is, and can lose what it has acknowledged.",
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
                f"Users who have something in common are refused by {', '.join(facts.unique_indexes)}.",
                "Drop these unique indexes: to userline, only ids are unique.",
            )
        )
    if facts.expiring_indexes:
        findings.append(
            problem(
                _PART,
                f"MongoDB deletes users by itself, by {', '.join(facts.expiring_indexes)} (expireAfterSeconds).",
                "Drop these indexes, unless users are meant to go.",
            )
        )
    if facts.has_validator:
        findings.append(
            advice(
                _PART,
                "A validator of the collection may refuse users, which callers are told of as an internal error.",
                "Remove it (collMod), or see that it takes every user that docs/mongodb.md describes.",
            )
        )
    return findings


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
