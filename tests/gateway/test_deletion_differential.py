"""Deletions made at random, by everybody, at every door: plans, the lane, graphql-core and REST do what a model says.

The model knows who exists and who may do what. USERLINE_TEST_DELETIONS says how many requests there are for each of the
settings (150), USERLINE_TEST_SEED with which seed.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import AsyncExitStack
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import orjson
import pytest
from tests.gateway.test_differential import Way, quiet
from tests.support.tokens import SECRET, token_of

from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["quiet"]  # a fixture

pytestmark = pytest.mark.usefixtures("no_settings", "quiet")

REQUESTS = int(os.environ.get("USERLINE_TEST_DELETIONS", "150"))
SEED = int(os.environ.get("USERLINE_TEST_SEED", "1"))

IDS: Final = ("ann", "ann", "bob", "bob", "nobody", "é/a b", "5", "", "a\0b", "x" * 256)
VIEWERS: Final = ("app", "app", "ann", "bob")
FIELDS: Final = {
    "delete": "deleteUser(id: $i{n}) {{ deleted }}",
    "spread": "deleteUser(id: $i{n}) {{ ...D }}",
    "set": 'setUser(id: $i{n}, input: {{name: "N"}}) {{ created }}',
    "greet": 'setUser(id: $i{n}, input: {{welcomeMessage: "W"}}) {{ created }}',
    "create": 'createUserIfNotExists(id: $i{n}, input: {{name: "N"}}) {{ created }}',
}


class Step(NamedTuple):
    """One root field of a mutation."""

    kind: str
    user: str


class Model:
    """Who exists, and who may do what."""

    def __init__(self, *, is_open: bool, self_deletion: bool) -> None:
        self.users = {"ann"}
        self._is_open = is_open
        self._self_deletion = self_deletion

    def do(self, viewer: str, step: Step) -> bool | str:  # noqa: PLR0911 - one for each rule
        """Return what a step does: whether it created or deleted somebody, or the code of its error."""
        is_server = viewer == "app" or self._is_open
        is_bad = not step.user or "\0" in step.user or len(step.user) > 255
        exists = step.user in self.users
        if step.kind in ("delete", "spread"):
            if not is_server and not (self._self_deletion and step.user == viewer):
                return "FORBIDDEN"
            if is_bad:
                return "BAD_USER_INPUT"
            self.users.discard(step.user)
            return exists
        may_write = is_server or step.user == viewer
        if is_bad and (may_write or step.kind == "create"):
            return "BAD_USER_INPUT"
        if not may_write and not (step.kind == "create" and exists):
            return "FORBIDDEN"
        if step.kind == "greet" and not exists:
            return "NAME_REQUIRED"
        self.users.add(step.user)
        return not exists

    def do_all(self, viewer: str, steps: list[Step]) -> list[bool | str]:
        """Return what the steps of one mutation do: what comes after one that fails is not done."""
        done: list[bool | str] = []
        for step in steps:
            done.append(self.do(viewer, step))
            if isinstance(done[-1], str):
                break
        return done


def request_of(steps: list[Step]) -> dict[str, Any]:
    fields = " ".join(f"s{n}: {FIELDS[step.kind].format(n=n)}" for n, step in enumerate(steps))
    declared = ", ".join(f"$i{n}: ID!" for n in range(len(steps)))
    fragment = " fragment D on DeleteUserPayload { deleted }" if any(step.kind == "spread" for step in steps) else ""
    variables = {f"i{n}": step.user for n, step in enumerate(steps)}
    return {"query": f"mutation({declared}) {{ {fields} }}{fragment}", "variables": variables}


def outcome_of(answer: dict[str, Any], done: list[bool | str]) -> list[bool | str]:
    """Return what a response says of the steps, as the model would."""
    if "errors" in answer:
        assert answer["data"] is None, answer
        (error,) = answer["errors"]
        assert error["path"] == [f"s{len(done) - 1}"], answer
        return [*done[:-1], error["extensions"]["code"]]
    return [next(iter(field.values())) for field in answer["data"].values()]


class Doors:
    """A gateway of each way, and what is asked of all of them."""

    def __init__(self, ways: list[Way], model: Model, tokens: dict[str, str]) -> None:
        self.ways = ways
        self.model = model
        self.tokens = tokens
        self.seen: Counter[str] = Counter()
        self._https = [
            httpx.AsyncClient(transport=httpx.ASGITransport(way.app), base_url="http://localhost") for way in ways
        ]

    async def graphql(self, viewer: str, operations: list[list[Step]], *, batch: bool) -> None:
        """Have mutations done: one, or several in a batch."""
        done = [self.model.do_all(viewer, steps) for steps in operations]
        requests = [request_of(steps) for steps in operations]
        body = orjson.dumps(requests if batch else requests[0])
        answers = [await way.answer(body, self.tokens.get(viewer, "")) for way in self.ways]
        assert set(answers) == {answers[0]}, (viewer, requests, answers)
        told = orjson.loads(answers[0]) if batch else [orjson.loads(answers[0])]
        assert [outcome_of(answer, each) for answer, each in zip(told, done, strict=True)] == done, (viewer, requests)
        for steps, outcomes in zip(operations, done, strict=True):
            for step, outcome in zip(steps, outcomes, strict=False):
                self.seen[f"{step.kind}: {outcome}"] += 1
                self.seen[f"own deletion: {outcome}"] += step.kind == "delete" and step.user == viewer != "app"

    async def rest(self, viewer: str, user: str) -> None:
        """Have a user deleted by REST, which is for servers alone."""
        expected: bool | str = "FORBIDDEN"
        if viewer == "app" or not self.tokens:
            expected = self.model.do("app", Step("delete", user))
        headers = {"authorization": f"Bearer {self.tokens[viewer]}"} if self.tokens else {}
        for http in self._https:
            answer = await http.delete(f"/v1/userline/users/{quote(user, safe='')}", headers=headers)
            body = answer.json()
            if isinstance(expected, bool):
                assert (answer.status_code, body) == (200, {"deleted": expected}), (viewer, user)
            else:
                status = {"FORBIDDEN": 403, "BAD_USER_INPUT": 400}[expected]
                assert (answer.status_code, body["errorCode"]) == (status, expected), (viewer, user, body)
        self.seen[f"REST: {expected}"] += 1

    def see_that_all_have_the_same(self) -> None:
        for way in self.ways:
            assert set(way.store.users) == self.model.users, way.name
            assert way.store.deleted == self.ways[0].store.deleted, way.name

    async def close(self) -> None:
        for http in self._https:
            await http.aclose()


@pytest.mark.parametrize(
    "more",
    [{"secret": SECRET}, {"secret": SECRET, "self_deletion": True}, {}],
    ids=["servers alone", "self-deletion", "open"],
)
async def test_deletions_do_what_the_model_says_at_every_door(more: dict[str, Any]) -> None:
    chance = Random(SEED)
    is_open, self_deletion = not more, more.get("self_deletion", False)
    tokens = {} if is_open else {"app": token_of(None), "ann": token_of("ann"), "bob": token_of("bob")}
    doors = Doors(
        [Way(name, plans=name != "general", **more) for name in ("general", "plans", "shortcut", "lane")],
        Model(is_open=is_open, self_deletion=self_deletion),
        tokens,
    )

    def steps(users: Sequence[str] = IDS) -> list[Step]:
        kinds = ("delete", "delete", "spread", "set", "greet", "create")
        return [Step(chance.choice(kinds), chance.choice(users)) for _ in range(chance.choice((1, 1, 2, 3, 5)))]

    def batch() -> list[list[Step]]:
        """Return mutations of different users: those of a batch are done at the same time."""
        return [steps([user]) for user in chance.sample(sorted(set(IDS)), chance.randint(1, 4))]

    async with AsyncExitStack() as stack:
        stack.push_async_callback(doors.close)
        for way in doors.ways:
            await stack.enter_async_context(way.runtime.running())
            await way.runtime.users.set("ann", {"name": "Ann"}, viewer=OPEN_VIEWER)
        acts: tuple[Callable[[str], Any], ...] = (
            lambda viewer: doors.graphql(viewer, [steps()], batch=False),
            lambda viewer: doors.graphql(viewer, [steps([viewer, viewer, *IDS])], batch=False),
            lambda viewer: doors.graphql(viewer, [steps([viewer])], batch=False),
            lambda viewer: doors.graphql(viewer, batch(), batch=True),
            lambda viewer: doors.rest(viewer, chance.choice([each for each in IDS if each])),
        )
        for _ in range(REQUESTS):
            await chance.choice(acts)(chance.choice(VIEWERS))
            doors.see_that_all_have_the_same()
    print(dict(sorted(doors.seen.items())))
    assert min(doors.seen[f"{kind}: {done}"] for kind in ("delete", "spread", "REST") for done in (True, False)) > 0
    assert (doors.seen["delete: FORBIDDEN"] > 0) is not is_open
    assert doors.seen["delete: BAD_USER_INPUT"] > 0
    assert (doors.seen["own deletion: True"] > 0) is (is_open or self_deletion)
