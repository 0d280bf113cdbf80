"""Every message is for somebody who has never heard of Python: it names JSON's kinds, and says null, true and false."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.clients.wire import LEGACY, TRANSPORT, open_wire
from tests.support.gateway import RunningGateway, running
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

PYTHONS: Final = re.compile(
    r"\b(?:None|True|False|Undefined|NoneType|dict|tuple|bytes|nan|inf|Exception)\b"
    r"|[{\[(]'\w|'[^']*': |object at 0x|<class"
)
"""What Python writes and nobody else."""

_JSON: Final = {"content-type": "application/json"}
ODD: Final[list[Any]] = [
    *(None, True, False, 0, -1, 1.5, 2**70, 1e300, "", "x" * 300, [], ["a"], [None], [True], [[1]], {}),
    *({"a": 1}, {"a": None}, {"a": {"b": True}}, [{"k": None}], {"a'b": "c"}, ["it's"], {"name": ["a", None]}),
]
FIELDS: Final = (
    *("name", "custom", "locale", "photoUrl", "role", "welcomeMessage", "email", "phone", "pushTokens"),
    *("nothing", "names", "id", "version", "createdAt"),
)
_SET: Final = 'setUser(id: "m", input: %s) { changed }'
BY_VARIABLE: Final = {
    "an id": "query($v: ID!) { user(id: $v) { id } }",
    "an id that may be null": "query($v: ID = 5) { user(id: $v) { id } }",
    "ids": "query($v: [ID!]!) { users(ids: $v) { id } }",
    "an id of many": "query($v: ID!) { users(ids: [$v]) { id } }",
    "a patch": "mutation($v: SetUserInput!) { %s }" % _SET % "$v",  # noqa: UP031 - braces
    "a new user": 'mutation($v: CreateUserInput!) { createUserIfNotExists(id: "n", input: $v) { created } }',
    "a name": "mutation($v: String) { %s }" % _SET % "{name: $v}",  # noqa: UP031
    "addresses": "mutation($v: [String!]) { %s }" % _SET % '{name: "M", email: $v}',  # noqa: UP031
    "a map": "mutation($v: Custom) { %s }" % _SET % '{name: "M", custom: $v}',  # noqa: UP031
    "tokens": "mutation($v: PushTokens) { %s }" % _SET % '{name: "M", pushTokens: $v}',  # noqa: UP031
    "a condition": "query($v: Boolean!) { app @skip(if: $v) { id } }",
    "a condition that may be null": "query($v: Boolean = true) { app @include(if: $v) { id } }",
    "representations": "query($v: [_Any!]!) { _entities(representations: $v) { __typename } }",
    "a watched id": "subscription($v: ID!) { userChanged(id: $v) { id } }",
    "watched ids": "subscription($v: [ID!]!) { usersChanged(ids: $v) { id } }",
}
BY_LITERAL: Final = (
    *("{ user(id: %s) { id } }", "{ users(ids: %s) { id } }", "{ users(ids: [%s]) { id } }"),
    *("{ app @skip(if: %s) { id } }", "{ __type(name: %s) { name } }", "{ app(x: %s) { id } }"),
    *(f"mutation {{ {_SET} }}", "{ _entities(representations: %s) { __typename } }"),
    *("query($v: ID = %s) { user(id: $v) { id } }", "query($v: [ID!] = %s) { users(ids: $v) { id } }"),
    *("query($v: Boolean = %s) { app @skip(if: $v) { id } }", "query($v: Int = %s) { app { id } }"),
    'mutation($v: SetUserInput = %s) { setUser(id: "m", input: $v) { changed } }',
)
DOCUMENTS: Final = (
    *("", "{", "}", "{ a", "{ user }", "{ user(id:) { id } }", "{ app }", "{ app { id { x } } }", "{ app { ...F } }"),
    *("query A { app { id } } query B { app { id } }", "fragment F on User { id }", "{ app { ... on Role { name } } }"),
    *("subscription { a: userChanged(id: 1) { id } b: userChanged(id: 2) { id } }", "mutation { setUser { changed } }"),
    *("query($a: Nope) { app { id } }", "query($a: ID, $a: ID) { app { id } }", "{ app { id @nope } }", "\\", "{ ' }"),
    *('{ user(id: "\\q") { id } }', '{ user(id: "a) { id } }', "query($v: ID!) { user(id: $w) { id } }", "{ app @x }"),
    *("query($v: String) { user(id: $v) { id } }", "{ __schema { x } }", "type X { a: Int }", "{ app { id } } }"),
)
BODIES: Final = ("", "{", "[", "nul", '{"a":NaN}', '{"a":01}', "[1,]", '"', "\0", "'a'", "{'a': 1}", "True", "None")


def literal(value: Any) -> str:
    """Return a value as it stands in a document."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key.replace(chr(39), '_')}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return json.dumps(value)


def messages_in(answer: Any) -> Iterator[str]:
    """Yield every sentence in an answer that tells of errors."""
    if isinstance(answer, list):
        for each in answer:
            yield from messages_in(each)
    elif isinstance(answer, dict):
        if isinstance(answer.get("message"), str):
            yield answer["message"]
        yield from answer.get("reasons", ())
        for name in ("errors", "extensions", "problems", "payload", "users"):
            found = answer.get(name)
            yield from messages_in(list(found.values()) if name == "users" and isinstance(found, dict) else found)


def look_at(answers: list[tuple[object, Any]], least: int) -> None:
    """See that no message in these answers to what was sent is Python's."""
    told = {message: sent for sent, answer in answers for message in messages_in(answer)}
    assert len(told) >= least
    assert {message: sent for message, sent in told.items() if PYTHONS.search(message)} == {}


def test_what_python_writes_is_noticed() -> None:
    for text in ("not to be None.", "value: {'a': 1}", "value: ['a']", "found: True", "<class 'int'>", "('a', 1)"):
        assert PYTHONS.search(text), text
    for text in ("not to be null.", "value 'a'", 'like {"a": 1}', "Variable '$v'", "of type '[ID!]!'", "(if: 'x')"):
        assert not PYTHONS.search(text), text


def test_of_variables_and_literals(doors: RunningGateway) -> None:
    def ask(query: str, *variables: Any) -> tuple[object, Any]:
        operations = [{"query": query, "variables": {"v": each}} for each in variables] or [{"query": query}]
        return (query, variables), doors.http.post("/graphql", json=operations).json()

    answers = [ask(query) for query in (*BY_VARIABLE.values(), *DOCUMENTS)]
    answers += [ask(query, *ODD) for query in BY_VARIABLE.values()]
    for field in FIELDS:
        patches: list[Any] = [{field: value} for value in ODD]
        answers += [ask(BY_VARIABLE[name], *patches) for name in ("a patch", "a new user")]
        answers += [ask(BY_LITERAL[6] % literal(patch)) for patch in patches]
    answers += [ask(query % literal(value)) for query in BY_LITERAL for value in ODD]
    look_at(answers, 250)


def test_of_requests(doors: RunningGateway) -> None:
    def post(content: str) -> tuple[object, Any]:
        return content, doors.http.post("/graphql", content=content.encode(), headers=_JSON).json()

    def get(**parameters: str) -> tuple[object, Any]:
        return parameters, doors.http.get("/graphql", params=parameters, headers={"accept": "application/json"}).json()

    answers = [post(body) for body in BODIES]
    for value in ODD:
        answers += [post(json.dumps(value)), post(json.dumps([value]))]
        for name in ("query", "variables", "operationName", "extensions", "documentId"):
            answers.append(post(json.dumps({"query": "{ app { id } }", name: value})))
            answers.append(get(**{"query": "{ app { id } }", name: json.dumps(value)}))
        answers.append(post(json.dumps({"extensions": {"persistedQuery": value}})))
        answers.append(post(json.dumps({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": value}}})))
    look_at(answers, 25)


def test_of_the_rest_api(doors: RunningGateway) -> None:
    def put(path: str, content: Any) -> tuple[object, Any]:
        body = content if isinstance(content, str) else json.dumps(content)
        return (path, body), doors.http.put(path, content=body.encode(), headers=_JSON).json()

    one, many = "/v1/userline/users/m", "/v1/userline/users"
    answers = [put(path, body) for path in (one, many) for body in BODIES]
    for value in ODD:
        answers += [put(one, json.dumps(value)), put(many, json.dumps(value)), put(many, {"m": value, "": value})]
        answers += [put(one, {field: value}) for field in FIELDS]
        answers += [put(many, {"m": {field: value}, "n": {field: value}}) for field in FIELDS]
    odd = ("%00", "%ff", "x" * 300, "%x", "?limit=None", "?limit=0", "?limit=1&limit=2", "?a=1", "?startingAfter=%ff")
    for path in odd:
        target = f"{many}{path}" if path.startswith("?") else f"{many}/{path}"
        answers += [(target, doors.http.request(method, target).json()) for method in ("GET", "DELETE", "PATCH")]
    look_at(answers, 80)


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
def test_of_sockets(doors: RunningGateway, protocol: str) -> None:
    answers: list[tuple[object, Any]] = []
    with open_wire(doors, protocol) as wire:
        began, ended = ("start", "stop") if wire.legacy else ("subscribe", "complete")
        for query in ("a watched id", "watched ids", "a patch"):
            for number, value in enumerate(ODD):
                operation = {"query": BY_VARIABLE[query], "variables": {"v": value}}
                name = f"{query} {number}"
                wire.send({"id": name, "type": began, "payload": operation})
                while (told := wire.receive())["id"] != name:
                    pass  # what ended the operation before
                answers.append((operation, told))
                if told["type"] in ("next", "data"):
                    wire.send({"id": name, "type": ended})
    look_at(answers, 15)


@pytest.mark.parametrize("accept", ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"])
def test_of_streams(doors: RunningGateway, accept: str) -> None:
    answers: list[tuple[object, Any]] = []
    for query in ("a watched id", "watched ids", "a patch", "ids"):
        for value in ODD:
            operation = {"query": BY_VARIABLE[query], "variables": {"v": value}}
            with doors.http.stream("POST", "/graphql", json=operation, headers={"accept": accept}) as answer:
                for line in answer.iter_lines():
                    found = line.removeprefix("data:").strip()
                    if found.startswith("{") and found != "{}":
                        answers.append((operation, json.loads(found)))
                        break
    look_at(answers, 15)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    flags = ("--no-access-log", "--self-deletion")
    yield from running(tmp_path_factory.mktemp("guarded"), *flags, env={"USERLINE_SECRET": SECRET})


@pytest.mark.parametrize("user_id", ["bob", 'b"o\nb', "🙂", "x" * 255])
def test_which_user_a_refusal_is_about(guarded: RunningGateway, user_id: str) -> None:
    shown = json.dumps(user_id[:100] + ("…" if len(user_id) > 100 else ""), ensure_ascii=False)
    for query, does in (
        ("mutation($id: ID!) { setUser(id: $id, input: {}) { changed } }", "write"),
        ('mutation($id: ID!) { createUserIfNotExists(id: $id, input: {name: "A"}) { created } }', "write"),
        ("mutation($id: ID!) { deleteUser(id: $id) { deleted } }", "delete"),
    ):
        answer = _post(guarded.http, query, user_id, {"authorization": f"Bearer {token_of('alice')}"})
        message = f"A user token may {does} its own user only, and {shown} is another."
        assert [error["message"] for error in answer["errors"]] == [message]
    answer = _post(
        guarded.http,
        "mutation($id: ID!) { setUser(id: $id, input: {}) { changed } }",
        user_id,
        {"authorization": f"Bearer {token_of(None)}"},
    )
    assert answer["errors"][0]["message"] == f"name is required, because there is no user {shown} yet."


def _post(http: httpx.Client, query: str, user_id: str, headers: dict[str, str]) -> Any:
    return http.post("/graphql", json={"query": query, "variables": {"id": user_id}}, headers=headers).json()


def test_which_users_of_a_batch_are_refused(tmp_path: Path) -> None:
    for gateway in running(tmp_path, "--no-access-log"):
        for bad, shown in (
            (["a"], '"a" is'),
            (["a", "b"], '"a" and "b" are'),
            (["a", "b", "c"], '"a", "b" and "c" are'),
            (list("abcde"), '"a", "b", "c" and 2 more are'),
        ):
            batch: dict[str, Any] = {"good": {"name": "Good"}} | {each: {"locale": 1} for each in bad}
            answer = gateway.http.put("/v1/userline/users", json=batch).json()
            assert answer["reasons"] == [f"{shown} refused, so no user of the batch was written."]
            assert list(answer["users"]) == bad
        assert gateway.http.get("/v1/userline/users/good").json()["reasons"] == ['There is no user "good".']
