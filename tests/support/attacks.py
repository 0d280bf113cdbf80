"""Requests that are small, and are made to cost a lot."""

from __future__ import annotations

import json
from typing import Any, Final

from graphql import get_introspection_query

INTROSPECTION: Final = get_introspection_query(
    descriptions=True,
    specified_by_url=True,
    directive_is_repeatable=True,
    schema_description=True,
    input_value_deprecation=True,
)
"""What code generators ask."""


def fragment_dag(levels: int = 24) -> str:
    """Return fragments each of which spreads the next one twice."""
    chain = "".join(f"fragment f{n} on User{{...f{n + 1} ...f{n + 1}}}" for n in range(levels))
    return f"{{user(id:1){{...f0}}}}{chain}fragment f{levels} on User{{id}}"


DOCUMENTS: Final[dict[str, str]] = {
    "fragment DAG": fragment_dag(),
    "fields 500 times": "{user(id:1){" + "id " * 500 + "}}",
    "fields 950 times": "{user(id:1){" + "id " * 950 + "}}",
    "roots that overlap": "{" + " app{id}" * 240 + "}",
    "nested roots that overlap": "{" + " app{roles{name}}" * 140 + "}",
    "roots that overlap, within the limit": "{" + " app{roles{name settings}}" * 50 + "}",
    "a chain of fragments in a circle": "{user(id:1){...f0}}"
    + "".join(f"fragment f{n} on User{{...f{(n + 1) % 100} id}}" for n in range(100)),
    "100 fragments in one place": "{user(id:1){"
    + " ".join(f"...f{n}" for n in range(100))
    + "}}"
    + "".join(f"fragment f{n} on User{{id}}" for n in range(100)),
    "fragments that spread all others": "{user(id:1){...f0}}"
    + "".join(f"fragment f{n} on User{{{' '.join(f'...f{m}' for m in range(20))}}}" for n in range(20)),
    "nested inline fragments": "{" + "...{" * 190 + "app{id}" + "}" * 190 + "}",
    "nested inline fragments, too many": "{" + "...{" * 5000 + "id" + "}" * 5000,
    "overlap in inline fragments": "{" + " app{...{roles{name ...{name}}}}" * 60 + "}",
    "unknown directives": "{app " + "@a " * 450 + "{id}}",
    "known directives": "{app " + "@include(if:true)" * 150 + "{id}}",
    "aliases": "{user(id:1){" + " ".join(f"a{n}:id" for n in range(300)) + "}}",
    "unknown fields": "{" + " ".join(f"x{n}" for n in range(950)) + "}",
    "many operations": " ".join(f"query q{n}{{app{{id}}}}" for n in range(140)),
    "many operations and fragments": " ".join(f"query q{n}{{...f0}}" for n in range(60))
    + "".join(f"fragment f{n} on Query{{...f{n + 1}}}" for n in range(60))
    + "fragment f60 on Query{app{id}}",
    "many variables": "query(" + " ".join(f"$v{n}:Int" for n in range(240)) + "){app{id}}",
    "deep lists": "{users(ids:" + "[" * 190 + "]" * 190 + "){id}}",
    "deep objects": 'mutation{setUser(id:"1",input:{custom:' + "{a:" * 190 + "1" + "}" * 190 + "}){changed}}",
    "a long number": "{user(id:" + "9" * 14_900 + "){id}}",
    "a long number in a map": 'mutation{setUser(id:"1",input:{custom:{a:' + "9" * 14_900 + "}}){changed}}",
    "a string of escapes": '{user(id:"' + "\\u00e9" * 2400 + '"){id}}',
    "a long block string": '{user(id:"""' + "\n x" * 4800 + '"""){id}}',
    "a field of 14,000 letters": "{" + "x" * 14_000 + "}",
    "commas": "," * 14_900 + "{app{id}}",
    "comments": "#\n" * 7000 + "{app{id}}",
    "bad input": 'mutation{setUser(id:"1",input:{' + "name:1 " * 300 + "}){changed}}",
    "deep introspection": "{__schema{types{fields{type{" + "ofType{" * 150 + "name" + "}" * 150 + "}}}}}",
    "wide introspection": "{__schema{types{" + "fields{type{" * 40 + "name" + "}}" * 40 + "}}}",
    "introspection 30 times": "{"
    + " ".join(f"a{n}:__schema{{types{{fields{{args{{name}}type{{name}}}}}}}}" for n in range(30))
    + "}",
    "introspection": INTROSPECTION,
}

USER_IDS: Final = [str(number) for number in range(1000)]
"""Whom the requests ask for."""

EVERYTHING: Final = "id name custom locale photoUrl role welcomeMessage effectiveLocale"

_SET = "mutation($c:Custom){setUser(id:1,input:{custom:$c}){changed}}"


def _request(query: str, variables: dict[str, Any] | None = None) -> bytes:
    return json.dumps({"query": query, "variables": variables}, separators=(",", ":")).encode()


def _raw(query: str, variables: str) -> bytes:
    return b'{"query":' + json.dumps(query).encode() + b',"variables":' + variables.encode() + b"}"


def _batch(make: str, count: int = 50) -> bytes:
    return b"[" + b",".join(_request(make.replace("N", str(n))) for n in range(count)) + b"]"


BODIES: Final[dict[str, bytes]] = {
    **{name: _request(text) for name, text in DOCUMENTS.items()},
    "deep variables": _raw("query($ids:[ID!]!){users(ids:$ids){id}}", '{"ids":' + "[" * 1000 + "]" * 1000 + "}"),
    "deep custom": _raw(_SET, '{"c":' + '{"a":' * 1000 + "1" + "}" * 1000 + "}"),
    "too deep": b'{"query":' + b"[" * 32_000 + b"]" * 32_000 + b"}",
    "a long number in variables": _raw("query($id:ID!){user(id:$id){id}}", '{"id":' + "9" * 60_000 + "}"),
    "escapes in variables": _raw("query($id:ID!){user(id:$id){id}}", '{"id":"' + "\\u00e9" * 10_000 + '"}'),
    "many bad variables": _raw(_SET, '{"c":{' + ",".join(f'"k{n}":{n}' for n in range(5000)) + "}}"),
    "many bad ids": _raw("query($ids:[ID!]!){users(ids:$ids){id}}", '{"ids":[' + ",".join(["null"] * 13_000) + "]}"),
    "1,000 users": _request(f"query($ids:[ID!]!){{users(ids:$ids){{{EVERYTHING}}}}}", {"ids": USER_IDS}),
    "1,000 users nine times": _request(
        "query($ids:[ID!]!){" + " ".join(f"a{n}:users(ids:$ids){{{EVERYTHING}}}" for n in range(9)) + "}",
        {"ids": USER_IDS},
    ),
    "a batch of nine times 1,000 users": b"["
    + b",".join([_request(f"query($ids:[ID!]!){{users(ids:$ids){{{EVERYTHING}}}}}", {"ids": USER_IDS})] * 9)
    + b"]",
    "a batch of 1,500 lookups": _batch(
        "{" + " ".join(f"a{n}:user(id:{n}N){{...F}}" for n in range(1, 31)) + "}fragment F on User{" + EVERYTHING + "}"
    ),
    "a batch of documents with much to validate": _batch("{" + " app{roles{name settings}}" * 48 + "bN:__typename}"),
    "a batch of documents that repeat fields": _batch("{user(id:N){" + "id " * 350 + "}}"),
    "a batch of introspection": b"["
    + b",".join([json.dumps({"query": INTROSPECTION}).encode()] * (64_000 // len(json.dumps({"query": INTROSPECTION}))))
    + b"]",
    "a batch of small requests": _batch("{app{id aN:id}}"),
}
