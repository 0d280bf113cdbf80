"""Users who are past a limit that was lowered since, through REST and with a user token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.gateway.reloading.playing import Reloaded
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

LARGE = {"name": "Large", "custom": {f"key {number}": "x" * 30_000 for number in range(20)}}
MANY = {
    "name": "Many",
    "custom": {f"key {number}": "" for number in range(3000)},
    "pushTokens": {f"fcm:{number}": True for number in range(2000)},
    "email": [f"a{number}@example.com" for number in range(40)],
    "phone": [f"+1415555{number:04}" for number in range(2000, 2040)],
}
UNCHANGED = {"created": False, "changed": False}
CHANGED = {"created": False, "changed": True}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reloaded]:
    """A gateway that has users far past its limit."""
    directory: Path = tmp_path_factory.mktemp("lowered")
    roomy = {f"MAX_{what}": 5000 for what in ("CUSTOM_KEYS", "PUSH_TOKENS", "EMAILS", "PHONES")}
    reloaded = Reloaded(directory, {"SECRET": SECRET, "MAX_RECORD_BYTES": 1_000_000, **roomy})
    for user_id in ("back", "front"):
        assert ask(reloaded, f"/{user_id}", LARGE).status_code == 200
    assert ask(reloaded, "/many", MANY).status_code == 200
    assert "were reloaded" in reloaded.reload(MAX_RECORD_BYTES=65_536, **dict.fromkeys(roomy, 20))
    yield reloaded
    reloaded.stop()


def ask(gateway: Reloaded, path: str, body: object = None) -> httpx.Response:
    """Ask as a back end: read, or write if there is a body."""
    headers = {"authorization": f"Bearer {token_of(None)}"}
    return gateway.ask("GET" if body is None else "PUT", f"/v1/userline/users{path}", headers, body)


def set_own(gateway: Reloaded, **custom: str | None) -> dict[str, Any]:
    """Patch as the user itself."""
    query = 'mutation($custom: Custom) { setUser(id: "front", input: {custom: $custom}) { changed } }'
    headers = {"authorization": f"Bearer {token_of('front')}"}
    answer = gateway.ask("POST", "/graphql", headers, {"query": query, "variables": {"custom": custom}})
    body: dict[str, Any] = answer.json()
    return body


def test_a_back_end_puts_them_back_whole_and_smaller_but_not_larger(gateway: Reloaded) -> None:
    read = ask(gateway, "/back").json()
    assert ask(gateway, "/back", read).json() == UNCHANGED
    assert ask(gateway, "", {"back": read}).json() == {"back": UNCHANGED}
    smaller = {**LARGE, "custom": {**read["custom"], "key 0": "y"}}
    assert ask(gateway, "/back", smaller).json() == CHANGED
    for path in ("/back", "/another"):
        refused = ask(gateway, path, LARGE)
        assert refused.status_code == 400
        assert "the limit is 65536 bytes" in refused.json()["reasons"][0]
    assert ask(gateway, "/back").json()["custom"] == smaller["custom"]


def test_a_frontend_is_told_what_is_taken(gateway: Reloaded) -> None:
    large = LARGE["custom"]
    assert isinstance(large, dict)
    (error,) = set_own(gateway, **{**large, "key 0": "y"})["errors"]
    assert error["message"].startswith("custom makes the user larger than 65536 bytes"), error
    assert "send only the fields that change, and null for those to remove" in error["message"]
    assert set_own(gateway, **{"key 0": "y"}) == {"data": {"setUser": {"changed": True}}}
    assert set_own(gateway, **dict.fromkeys(large)) == {"data": {"setUser": {"changed": True}}}
    assert ask(gateway, "/front").json()["custom"] == {}


def test_a_back_end_puts_back_who_has_more_than_the_limits_of_entries(gateway: Reloaded) -> None:
    read = ask(gateway, "/many").json()
    assert {name: read[name] for name in MANY} == MANY
    assert ask(gateway, "/many", read).json() == UNCHANGED
    assert ask(gateway, "", {"many": read}).json() == {"many": UNCHANGED}
    refused = ask(gateway, "/many", {"email": [*read["email"], "new@example.com"]}).json()
    assert refused["reasons"][0] == "email must have at most 20 entries, not 41."
    assert ask(gateway, "/many", {"email": read["email"][1:]}).json() == CHANGED
