"""A field is a row, an attribute, a column and its documentation: a copy of the tree that has one more works."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.fields.adding import CLIENT_EDITS, MOST_CHARACTERS, SERVER_EDITS, tree_with_a_field
from tests.support import trees
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUITES = [
    "tests/users",
    "tests/schema",
    "tests/storage/test_sqlite_contract.py",
    "tests/storage/test_sqlite_added.py",
    "tests/storage/test_mongo_documents.py::test_a_document",
    "tests/moving/test_json_lines.py",
    "tests/moving/test_import.py",
    "tests/gateway/rest/test_rest.py",
    "clients/python/tests/test_writing.py",
    "clients/python/tests/test_reading.py",
]
"""The parts of the contract, schema, REST, client and moving suites that show it in the time that there is."""

BODIES = "tests/gateway/rest/test_rest.py::test_bodies_that_are_none"
"""About bodies without any field, and when a connection ends that has sent too much: not run over the copy."""

USER = "{ user(id: $id) { id name pronouns } }"
SET = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed user { pronouns } } }"
CREATE = (
    "mutation($id: ID!, $input: CreateUserInput!) "
    "{ createUserIfNotExists(id: $id, input: $input) { created user { name pronouns } } }"
)
LONGEST = "👩" * MOST_CHARACTERS


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree_with_a_field(tmp_path_factory.mktemp("tree"))


@pytest.fixture(scope="module", params=["plans", "no plans"])
def gateway(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    flags = [] if request.param == "plans" else ["--no-fast-lane", "--no-plans"]
    running = RunningGateway(tmp_path_factory.mktemp("gateway"), *flags, env=trees.environment(tree))
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log, running.log


def pronouns(gateway: RunningGateway, user_id: str) -> object:
    data = gateway.data(f"query($id: ID!) {USER}", {"id": user_id})
    value: object = data["user"]["pronouns"]
    return value


def test_the_recipe_says_what_is_done_here() -> None:
    recipe = (trees.ROOT / "docs" / "contributing.md").read_text()
    words = " ".join(recipe.split())
    for name, _, lines in (*SERVER_EDITS, *CLIENT_EDITS):
        assert name in recipe or name.removeprefix("clients/python/src/userline_client/") in recipe, name
        assert name.endswith(".md") or " ".join(lines.split()).rstrip(",") in words, lines


def test_the_suites_pass(tree: Path) -> None:
    trees.run(tree, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *SUITES, "--deselect", BODIES, seconds=900)


def test_the_python_client_passes_the_cases_about_what_a_user_is(tree: Path) -> None:
    cases = ["--line", "3", "--line", "25"]
    trees.run(tree, "-m", "clients.conformance", "--driver", "python", "--processes", "1", "--no-gateway", *cases)


def test_it_has_its_default_is_set_and_goes_back(gateway: RunningGateway) -> None:
    data = gateway.data(CREATE, {"id": "a", "input": {"name": "A"}})
    assert data["createUserIfNotExists"] == {"created": True, "user": {"name": "A", "pronouns": None}}
    data = gateway.data(CREATE, {"id": "b", "input": {"name": "B", "pronouns": "they/them"}})
    assert data["createUserIfNotExists"]["user"]["pronouns"] == "they/them"
    for value in ("she/her", LONGEST, "", None, "a\0b", None):
        for changed in (True, False):
            data = gateway.data(SET, {"id": "a", "input": {"pronouns": value}})
            assert data["setUser"] == {"changed": changed, "user": {"pronouns": value}}
        assert pronouns(gateway, "a") == value
    gateway.data(SET, {"id": "a", "input": {"pronouns": "x"}})
    assert gateway.data(SET, {"id": "a", "input": {"name": "A2"}})["setUser"]["user"] == {"pronouns": "x"}


@pytest.mark.parametrize("bad", [LONGEST + "x", 1, True, ["they/them"], {"a": "b"}])
def test_what_it_may_not_be_is_refused_and_changes_nothing(gateway: RunningGateway, bad: object) -> None:
    gateway.data(SET, {"id": "c", "input": {"name": "C", "pronouns": "x"}})
    (error,) = gateway.execute(SET, {"id": "c", "input": {"name": "C2", "pronouns": bad}})["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    answer = gateway.http.put("/v1/userline/users/c", json={"name": "C2", "pronouns": bad})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, "BAD_USER_INPUT")
    (reason,) = answer.json()["reasons"]
    assert reason.startswith("pronouns must be ")
    if bad == LONGEST + "x":
        assert error["extensions"]["field"] == "pronouns"
        assert reason == f"pronouns must be at most {MOST_CHARACTERS} characters long, not {MOST_CHARACTERS + 1}."
    assert gateway.http.get("/v1/userline/users/c").json()["name"] == "C"
    assert pronouns(gateway, "c") == "x"


def test_who_watches_sees_it(gateway: RunningGateway) -> None:
    gateway.data(SET, {"id": "d", "input": {"name": "D"}})
    query = 'subscription { userChanged(id: "d") { pronouns } }'
    headers = {"accept": "text/event-stream"}
    seen: list[Any] = []
    with gateway.http.stream("POST", "/graphql", json={"query": query}, headers=headers) as events:
        for line in events.iter_lines():
            if line.startswith("data: {"):
                seen.append(json.loads(line.removeprefix("data: "))["data"]["userChanged"]["pronouns"])
                if len(seen) == 4:
                    break
                gateway.data(SET, {"id": "d", "input": {"pronouns": ["x", "y", None][len(seen) - 1]}})
    assert seen == [None, "x", "y", None]


def test_rest_has_it(gateway: RunningGateway) -> None:
    http = gateway.http
    assert http.put("/v1/userline/users/e", json={"name": "E", "pronouns": "he/him"}).status_code == 200
    assert http.get("/v1/userline/users/e").json()["pronouns"] == "he/him"
    (listed,) = http.get("/v1/userline/users?limit=1&startingAfter=d").json()["data"]
    assert (listed["id"], listed["pronouns"]) == ("e", "he/him")
    http.put("/v1/userline/users", json={"e": {"pronouns": None}})
    assert http.get("/v1/userline/users/e").json()["pronouns"] is None


def test_the_descriptions_have_it(tree: Path, gateway: RunningGateway) -> None:
    schemas = gateway.http.get("/v1/openapi.json").json()["components"]["schemas"]
    assert schemas["User"]["properties"]["pronouns"]["type"] == ["string", "null"]
    assert "pronouns" in schemas["User"]["required"]
    patch = schemas["UserPatch"]["properties"]["pronouns"]
    assert (patch["type"], patch["maxLength"]) == (["string", "null"], MOST_CHARACTERS)
    assert patch["description"]
    assert (tree / "schema" / "schema.graphql").read_text().count("  pronouns: String\n") == 3


def test_it_moves_with_the_user(tree: Path, gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.data(SET, {"id": "f", "input": {"name": "F", "pronouns": LONGEST}})
    gateway.data(SET, {"id": "g", "input": {"name": "G"}})
    source, target = f"sqlite:///{gateway.database}", f"sqlite:///{tmp_path / 'other.db'}"
    trees.run(tree, "-m", "userline", "export", str(tmp_path / "out.jsonl"), "--store-url", source)
    lines = {user["id"]: user for user in map(orjson.loads, (tmp_path / "out.jsonl").read_bytes().splitlines())}
    assert (lines["f"]["pronouns"], lines["g"]["pronouns"]) == (LONGEST, None)
    del lines["g"]["pronouns"]  # as a userline without the field exports it
    (tmp_path / "in.jsonl").write_bytes(b"\n".join(orjson.dumps(lines[user_id]) for user_id in "fg"))
    trees.run(tree, "-m", "userline", "import", str(tmp_path / "in.jsonl"), "--store-url", target)
    trees.run(tree, "-m", "userline", "export", str(tmp_path / "again.jsonl"), "--store-url", target)
    again = [orjson.loads(line) for line in (tmp_path / "again.jsonl").read_bytes().splitlines()]
    assert [user["pronouns"] for user in again] == [LONGEST, None]


CLIENT = """
import asyncio, sys
from userline_client import BadUserInput, Session

async def main(url):
    async with Session(url) as session, Session(url) as other:
        user = session.user("h")
        made = await user.create_if_not_exists(name="H", pronouns="they/them")
        assert made.user.pronouns == "they/them", made
        seen = []
        watch = other.user("h").subscribe(lambda snapshot: seen.append(snapshot.pronouns))
        await watch.connected
        assert (await user.set(pronouns="xe/xem")).user.pronouns == "xe/xem"
        assert (await user.get()).pronouns == "xe/xem"
        assert not (await user.set(name="H")).changed
        assert (await user.set(pronouns=None)).user.pronouns is None
        while seen[-1] is not None:
            await asyncio.sleep(0.01)
        assert seen[0] == "they/them", seen
        try:
            await user.set(pronouns="x" * 41)
        except BadUserInput as error:
            assert error.field == "pronouns", error
        else:
            raise AssertionError("it was not refused")

asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
"""


def test_the_python_client_has_it(tree: Path, gateway: RunningGateway) -> None:
    trees.run(tree, "-c", CLIENT, gateway.websocket_url)
