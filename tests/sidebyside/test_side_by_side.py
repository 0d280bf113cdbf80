"""Gateways of two versions beside each other, as in a rolling upgrade: nothing is lost, and nobody is deaf.

The old version is a commit of the history; the new ones are this tree, and this tree with a field more. What the commit
before this one could not be taught any more is said by ``keeps_others``: it erases what it does not know in MongoDB.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.fields.adding import tree_with_a_field
from tests.sidebyside.deployment import KNOWN_BY_ALL, Version, side_by_side
from tests.support import trees
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.sidebyside.deployment import Gateway, Store, Watcher

STORES = ["sqlite", "nx-27017"]
PAIRS = ["old, new", "new, field", "old, field"]
TURNS = 6


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    return {
        "old": Version(trees.old_tree(tmp_path_factory.mktemp("old")), keeps_others=False),
        "new": Version(trees.this_tree(tmp_path_factory.mktemp("new"))),
        "field": Version(tree_with_a_field(tmp_path_factory.mktemp("field")), has_field=True),
    }


@pytest.mark.parametrize("store_name", STORES)
@pytest.mark.parametrize("order", ["older first", "newer first"])
@pytest.mark.parametrize("pair", PAIRS)
async def test_nothing_is_lost_and_nobody_is_deaf(
    tmp_path_factory: pytest.TempPathFactory, versions: dict[str, Version], pair: str, order: str, store_name: str
) -> None:
    older, newer = (versions[name] for name in pair.split(", "))
    first, second = (older, newer) if order == "older first" else (newer, older)
    async with side_by_side(tmp_path_factory.mktemp("run"), store_name, first, second) as (store, one, two):
        old, new = (one, two) if order == "older first" else (two, one)
        await one.set("alice", name="0", custom={"from": "the first"}, email=["a@example.com"])
        watchers = await asyncio.gather(one.watch("alice"), two.watch("alice"))
        try:
            await _write_in_turns(store, old, new)
            await _write_at_once(store, old, new)
            await _converge([old, new], watchers)
            if newer.has_field and (older.keeps_others or not store.is_mongodb):
                # Set by the first turn, and never shown as if it were gone before it was taken back in the last one.
                seen = [each for each in watchers[new is two].seen if each["name"] in map(str, range(2, TURNS))]
                assert seen
                assert all(each["pronouns"] for each in seen)
        finally:
            for watcher in watchers:
                await watcher.stop()
        if store.is_mongodb and older.keeps_others:
            await _what_nobody_knows_is_kept(store, old, new)


async def _write_in_turns(store: Store, old: Gateway, new: Gateway) -> None:
    """Write one user through both, one after the other; each answer has all that was written before."""
    expected: dict[str, Any] = {"custom": {"from": "the first"}, "email": ["a@example.com"], "phone": []}
    pronouns = None
    keeps = old.version.keeps_others or not store.is_mongodb
    for turn in range(1, TURNS + 1):
        for gateway, who in ((old, "old"), (new, "new")):
            before = store.version("alice")
            patch: dict[str, Any] = {"name": f"{turn}", "custom": {f"{who}.{turn}": "x"}}
            expected["custom"] |= patch["custom"]
            if turn == 3:
                field, value = ("phone", ["+14155552671"]) if who == "old" else ("email", ["n@example.com"])
                patch[field] = expected[field] = value
            if gateway.version.has_field:
                pronouns = patch["pronouns"] = f"they/{turn}"
            answer = await gateway.set("alice", **patch)
            assert (answer["name"], answer["custom"]) == (f"{turn}", expected["custom"])
            assert store.version("alice") > before
            if new.version.has_field:
                await _hears(new, custom=expected["custom"], pronouns=pronouns if keeps or who == "new" else None)
    for gateway in (old, new):
        record = await gateway.record("alice")
        assert {name: record[name] for name in expected} == expected
    if new.version.has_field:
        assert (await new.record("alice"))["pronouns"] == pronouns
        # Only the field that the older one does not know: it hears of a version that looks the same.
        assert (await new.set("alice", pronouns=None))["pronouns"] is None
        assert (await new.set("alice", pronouns="she/her"))["pronouns"] == "she/her"


async def _hears(gateway: Gateway, **expected: object) -> None:
    """Wait until a gateway has heard of what was written elsewhere, all of it at once."""
    user: dict[str, Any] = {}
    for _ in range(200):
        user = await gateway.get("alice")
        if user["custom"] == expected["custom"]:
            break
        await asyncio.sleep(0.05)
    assert {name: user[name] for name in expected} == expected


async def _write_at_once(store: Store, old: Gateway, new: Gateway) -> None:
    """Write different keys of one user through both at the same time: all of them hold."""
    before = store.version("alice")
    await asyncio.gather(
        *(
            gateway.set("alice", custom={f"{who} {number}": "y"})
            for number in range(10)
            for gateway, who in ((old, "old"), (new, "new"))
        )
    )
    custom = (await new.record("alice"))["custom"]
    assert {f"{who} {number}" for number in range(10) for who in ("old", "new")} <= custom.keys()
    assert store.version("alice") >= before + 20


async def _converge(gateways: list[Gateway], watchers: tuple[Watcher, Watcher]) -> None:
    """Both gateways, and who watches at them, come to the same, and nobody was shown the past on the way."""
    last = await gateways[1].set("alice", name="last")
    shown = {name: last[name] for name in KNOWN_BY_ALL.split()}

    def has_converged() -> bool:
        return all(seen.items() >= shown.items() for seen in (watcher.seen[-1] for watcher in watchers))

    await until(has_converged, seconds=20)
    for gateway in gateways:
        assert (await gateway.get("alice")).items() >= shown.items()
    for watcher in watchers:
        sizes = [len(seen["custom"]) for seen in watcher.seen]
        assert sizes == sorted(sizes)  # keys were only added
        names = [int(seen["name"]) for seen in watcher.seen if seen["name"] != "last"]
        assert names == sorted(names)


async def _what_nobody_knows_is_kept(store: Store, old: Gateway, new: Gateway) -> None:
    """What another program has put beside a user's fields stays, whoever writes."""
    mood: dict[str, object] = {"deep": [1, {"$x": None}], "now": "good"}
    store.put_beside("alice", mood=mood, **{"2nd": 0})
    for gateway in (old, new, old):
        await gateway.set("alice", welcomeMessage=f"Hello {gateway.version.has_field} {store.version('alice')}")
        document = store.document("alice")
        assert (document["mood"], document["2nd"]) == (mood, 0)
