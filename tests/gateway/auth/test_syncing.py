"""``USERLINE_CLIENT_USER_SYNCING``: what each kind of viewer may write, through real gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.wire import new_id
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SET = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created user { name } } }"
CREATE = (
    "mutation($id: ID!, $input: CreateUserInput!) "
    "{ createUserIfNotExists(id: $id, input: $input) { created user { name } } }"
)
DISABLED, FORBIDDEN = "USER_SYNC_DISABLED", "FORBIDDEN"


@pytest.fixture(scope="module", params=["off", "own", "any"])
def syncing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(
        tmp_path_factory.mktemp("syncing"),
        "--client-user-syncing",
        request.param,
        env={"USERLINE_SECRET": SECRET, "USERLINE_LOG_FORMAT": "json"},
    )
    running.syncing = request.param  # type: ignore[attr-defined]
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def run(gateway: RunningGateway, viewer: str | None, query: str, user_id: str, **fields: Any) -> Any:
    """Return the payload of a mutation (or what else the first field has), or the code of its error."""
    answer = gateway.http.post(
        "/graphql",
        json={"query": query, "variables": {"id": user_id, "input": fields}},
        headers={"authorization": f"Bearer {token_of(viewer)}"},
    ).json()
    if "errors" in answer:
        assert answer["data"] is None
        return answer["errors"][0]["extensions"]["code"]
    return next(iter(answer["data"].values()))


def may_write(gateway: RunningGateway, *, own: bool) -> str | None:
    """Return the code that a user token's write gets, or None if it is allowed."""
    mode: str = gateway.syncing  # type: ignore[attr-defined]
    return {"off": DISABLED, "own": None if own else FORBIDDEN, "any": None}[mode]


@pytest.mark.parametrize("own", [True, False])
def test_set_user(syncing: RunningGateway, *, own: bool) -> None:
    me, code = new_id("me"), may_write(syncing, own=own)
    target = me if own else new_id("target")
    created = {"created": True, "user": {"name": "A"}}
    assert run(syncing, me, SET, target, name="A") == (code or created)
    if code is not None:
        assert read(syncing, me, target) is None
        assert run(syncing, me, SET, target, locale="nonsense") == code, "permission is asked before the input"
        assert run(syncing, None, SET, target, name="A") == created
    assert run(syncing, me, SET, target, name="B") == (code or {"created": False, "user": {"name": "B"}})
    assert read(syncing, me, target) == {"name": "A" if code else "B"}


@pytest.mark.parametrize("own", [True, False])
def test_create_user_if_not_exists(syncing: RunningGateway, *, own: bool) -> None:
    me, code = new_id("me"), may_write(syncing, own=own)
    target = me if own else new_id("target")
    created = {"created": True, "user": {"name": "A"}}
    assert run(syncing, me, CREATE, target, name="A") == (code or created)
    if code is not None:
        assert read(syncing, me, target) is None
        assert run(syncing, None, CREATE, target, name="A") == created
    existing = {"created": False, "user": {"name": "A"}}
    assert run(syncing, me, CREATE, target, name="B") == existing, "exists? comes before allowed?"
    assert run(syncing, me, CREATE, target, name="B", locale="nonsense") == "BAD_USER_INPUT"
    assert run(syncing, new_id("somebody"), CREATE, target, name="C") == existing
    assert read(syncing, me, target) == {"name": "A"}


def test_the_app_writes_everything(syncing: RunningGateway) -> None:
    user_id = new_id("any")
    assert run(syncing, None, CREATE, user_id, name="A", email="a@example.com")["created"]
    assert run(syncing, None, SET, user_id, name="B", phone=None) == {"created": False, "user": {"name": "B"}}


def test_everybody_reads_everybody(syncing: RunningGateway) -> None:
    user_id = new_id("read")
    run(syncing, None, SET, user_id, name="A")
    for viewer in (user_id, new_id("somebody"), None):
        assert read(syncing, viewer, user_id) == {"name": "A"}


def test_each_operation_of_a_batch_is_asked(syncing: RunningGateway) -> None:
    me, other = new_id("me"), new_id("other")
    query = 'mutation { a: setUser(id: "%s", input: {name: "A"}) { created } }'
    answers = syncing.http.post(
        "/graphql",
        json=[{"query": query % me}, {"query": query % other}],
        headers={"authorization": f"Bearer {token_of(me)}"},
    ).json()
    for answer, own in zip(answers, (True, False), strict=True):
        code = may_write(syncing, own=own)
        assert (answer["errors"][0]["extensions"]["code"] if "errors" in answer else None) == code


def read(gateway: RunningGateway, viewer: str | None, user_id: str) -> Any:
    return gateway.http.post(
        "/graphql",
        json={"query": "query($id: ID!) { user(id: $id) { name } }", "variables": {"id": user_id}},
        headers={"authorization": f"Bearer {token_of(viewer)}"},
    ).json()["data"]["user"]
