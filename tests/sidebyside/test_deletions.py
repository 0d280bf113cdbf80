"""Users are deleted while a gateway beside this one knows of no deletion, as in a rolling upgrade.

What holds: gateways of this version, and who watches there, show at once what the store has, whoever wrote it. An old
one brings nobody back by itself: a patch without a name is refused, and one whom it creates again, because it was told
to, has a version above the deletion's. What does not: the oldest drops what the bus says of a deletion, and shows the
user until it is written or read again (USERLINE_REREAD_SECONDS).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.sidebyside.deployment import Version, side_by_side
from tests.support import trees
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.sidebyside.deployment import Gateway, Watcher

DELETE = "mutation($id: ID!) { told: deleteUser(id: $id) { deleted } }"
GREET = 'mutation($id: ID!) { told: setUser(id: $id, input: {welcomeMessage: "Hi"}) { created } }'
CREATE = 'mutation($id: ID!) { told: createUserIfNotExists(id: $id, input: {name: "created"}) { created } }'
SET = 'mutation($id: ID!) { told: setUser(id: $id, input: {name: "set"}) { created } }'


async def do(gateway: Gateway, query: str) -> Any:
    """Return what a mutation says of Bob, or the code of its error."""
    answer = await asyncio.to_thread(gateway.running.execute, query, {"id": "bob"})
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else answer["data"]["told"]


def names(watcher: Watcher) -> list[str | None]:
    return [seen["name"] if seen else None for seen in watcher.seen]


@pytest.mark.parametrize(
    ("commit", "hears", "store_name"),
    [
        (trees.OLD_COMMIT, False, "sqlite"),
        (trees.BEFORE_DELETIONS, True, "sqlite"),
        (trees.BEFORE_DELETIONS, True, "nx-27017"),
    ],
)
async def test_deletions_beside_a_gateway_that_knows_of_none(
    tmp_path_factory: pytest.TempPathFactory, commit: str, hears: bool, store_name: str
) -> None:
    this = Version(trees.this_tree(tmp_path_factory.mktemp("new")))
    before = Version(trees.old_tree(tmp_path_factory.mktemp("old"), commit), hears_deletions=hears)
    async with side_by_side(tmp_path_factory.mktemp("run"), store_name, before, this) as (store, old, new):
        watchers = at_old, at_new = await old.watch("bob"), await new.watch("bob")
        shown: list[str | None] = [None]
        versions = [0]

        async def all_show(name: str | None, *, also_old: bool = True) -> None:
            shown.append(name)
            await until(lambda: names(at_new) == shown, 10)
            assert ((await new.get("bob")) or {}).get("name") == name
            if name is not None:
                versions.append(store.version("bob"))
            if also_old:
                await until(lambda: names(at_old)[-1] == name, 10)
                assert ((await old.get("bob")) or {}).get("name") == name

        try:
            await until(lambda: names(at_old) == names(at_new) == shown)
            await new.set("bob", name="first")
            await all_show("first")
            for query, name in ((CREATE, "created"), (SET, "set")):
                assert await do(new, DELETE) == {"deleted": True}
                await all_show(None, also_old=hears)
                assert await do(old, GREET) == "NAME_REQUIRED"
                assert await do(new, GREET) == "NAME_REQUIRED"
                assert await do(old, query) == {"created": True}
                await all_show(name)
            assert await do(new, DELETE) == {"deleted": True}
            await all_show(None, also_old=hears)
            await new.set("bob", name="last")
            await all_show("last")
            told = [None, *(name for name in shown if name is not None)]
            assert names(at_old) == (shown if hears else told)
            assert versions == sorted(set(versions))
        finally:
            for watcher in watchers:
                await watcher.stop()
