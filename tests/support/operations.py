"""Operations made at random: sound ones above all, with variables that fit or are wrong in every way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from random import Random

USER_FIELDS: Final = (
    "id",
    "name",
    "custom",
    "locale",
    "photoUrl",
    "role",
    "welcomeMessage",
    "version",
    "effectiveLocale",
)
IDS: Final = ("ann", "bob", "0", "5", "nobody", "é", "a b", "", "a\0b", "x" * 256)
_NUMBERS: Final[tuple[Any, ...]] = (0, 5, -1, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 1.0, 1.5, 1e3, 2.0**64, -0.0)
ODD: Final[tuple[Any, ...]] = (*_NUMBERS, None, True, False, "", [], {}, [[]], ["ann"], {"a": 1}, "ann", [None], "\0")

VARIABLES: Final = {
    "id": "ID!",
    "maybe": "ID",
    "given": 'ID = "ann"',
    "ids": "[ID!]!",
    "some": '[ID!] = ["ann", "nobody"]',
    "yes": "Boolean!",
    "no": "Boolean = false",
    "perhaps": "Boolean",
    "set": "SetUserInput!",
    "create": "CreateUserInput!",
    "text": "String",
    "name": "String!",
    "custom": "Custom",
    "tokens": "PushTokens",
    "things": "[_Any!]!",
}


class Operation(NamedTuple):
    """A document with one operation."""

    kind: str
    query: str
    used: tuple[str, ...]
    """The variables that are declared."""


class Maker:
    """Makes operations. Equal chances make equal operations."""

    def __init__(self, chance: Random, *, federation: bool) -> None:
        self._chance = chance
        self._federation = federation
        self._fragments: dict[str, str] = {}
        self._number = 0

    def operation(self, kind: str | None = None) -> Operation:
        """Return an operation of this kind, or of any."""
        self._fragments = {}
        self._number = 0
        chance = self._chance
        kind = kind or chance.choices(("query", "mutation", "subscription"), (60, 35, 5))[0]
        if kind == "subscription":
            body = self._subscription()
        else:
            count = chance.choice((1, 1, 1, 2, 3, 4))
            body = " ".join(self._root(kind) for _ in range(count))
        text = " ".join([body, *self._fragments.values()])
        found = set(re.findall(r"\$(\w+)", text))
        used = tuple(name for name in VARIABLES if name in found)
        if chance.random() < 0.02:
            used = used[1:]
        declared = ", ".join(f"${name}: {VARIABLES[name]}" for name in used)
        name = chance.choice(("", "Q", "Op"))
        if not name and not declared and kind == "query" and chance.random() < 0.5:
            head = ""
        else:
            head = f"{kind} {name}{'(' + declared + ')' if declared else ''} "
        return Operation(kind, " ".join([f"{head}{{ {body} }}", *self._fragments.values()]), used)

    def variables(self, operation: Operation) -> dict[str, Any]:
        """Return values for the variables of an operation: good ones mostly, and then some that are not."""
        chance = self._chance
        values = {name: self._value(name) for name in operation.used}
        for name in operation.used:
            odds = chance.random()
            if odds < 0.06:
                values[name] = chance.choice(ODD)
            elif odds < 0.10:
                del values[name]
            elif odds < 0.12:
                values[name] = None
        if chance.random() < 0.03:
            values["extra"] = chance.choice(ODD)
        return values

    def _value(self, name: str) -> Any:  # noqa: PLR0911 - one for each type
        chance = self._chance
        match name:
            case "id" | "maybe" | "given":
                return chance.choice((*IDS, "ann", "bob", "ann", 5, 0))
            case "ids" | "some":
                return [chance.choice((*IDS[:7], "ann", 5)) for _ in range(chance.choice((0, 1, 2, 3, 8)))]
            case "yes" | "no" | "perhaps":
                return chance.random() < 0.5
            case "set" | "create":
                return self._input()
            case "text" | "name":
                return chance.choice(("Ann", "", "é", "x" * 300, "en"))
            case "custom":
                return chance.choice(({"a": "b"}, {"a": None}, {"": "$"}, {}, {"a": 5}))
            case "tokens":
                return chance.choice(({"fcm:x": True}, {"apns:y": None}, {"x": True}, {}))
            case _:
                return [self._thing() for _ in range(chance.choice((0, 1, 2, 5)))]

    def _thing(self) -> Any:
        chance = self._chance
        if chance.random() < 0.1:
            return chance.choice(({"__typename": "Role", "id": "a"}, {"id": "ann"}, 5, {"__typename": "User", "id": 5}))
        return {"__typename": "User", "id": chance.choice(IDS[:7])}

    def _input(self) -> dict[str, Any]:
        chance = self._chance
        fields: dict[str, Any] = {"name": chance.choice(("Ann", "Bob", "é", " "))}
        for name, values in {
            "custom": ({"a": "b"}, {"a.b": "c", "a": None}, None, {"a": 1}),
            "locale": ("nl", "pt-BR", "?", None),
            "photoUrl": ("https://example.com/a.png", "x", None),
            "role": ("default", "nobody", None),
            "welcomeMessage": ("Hi", "", None),
            "email": ("a@example.com", ["a@example.com", "b@example.com"], [], None, "x", [5], "a" * 300),
            "phone": ("+14155552671", ["+14155552671"], None, "1"),
            "pushTokens": ({"fcm:x": True}, {"fcm:x": None}, None, {"x": 1}, []),
        }.items():
            if chance.random() < 0.25:
                fields[name] = chance.choice(values)
        if chance.random() < 0.05:
            fields[chance.choice(("nick", "name"))] = chance.choice(ODD)
        if chance.random() < 0.1:
            del fields["name"]
        return fields

    def _root(self, kind: str) -> str:
        """Return a selection of a root, perhaps in fragments, and perhaps left out."""
        chance = self._chance
        type_name = kind.capitalize()
        odds = chance.random()
        if odds < 0.08:
            inside = self._root(kind)
            return f"...{chance.choice(('', f' on {type_name}'))}{self._directives()} {{ {inside} }}"
        if odds < 0.14:
            name = f"{type_name}{len(self._fragments)}"
            self._fragments[name] = ""
            self._fragments[name] = f"fragment {name} on {type_name} {{ {self._root(kind)} }}"
            return f"...{name}{self._directives()}"
        if odds < 0.20:
            return f"{self._alias('__typename')}__typename{self._directives()}"
        return self._query() if kind == "query" else self._mutation()

    def _query(self) -> str:
        chance = self._chance
        alias, directives = self._alias(), self._directives()
        odds = chance.random()
        if odds < 0.45:
            return f"{alias}user(id: {self._id()}){directives} {{ {self._user()} }}"
        if odds < 0.75:
            return f"{alias}users(ids: {self._ids()}){directives} {{ {self._user()} }}"
        if self._federation and odds < 0.9:
            inside = chance.choice((f"... on User{self._directives()} {{ {self._user()} }}", "__typename", "...U"))
            if inside == "...U":
                self._fragments["U"] = f"fragment U on User {{ {self._leaves()} }}"
            return f"{alias}_entities(representations: $things){directives} {{ __typename {inside} }}"
        if self._federation and odds < 0.92:
            return f"{alias}_service{directives} {{ __typename }}"
        if odds < 0.94:
            return f'{alias}__type(name: "User"){directives} {{ name kind }}'
        roles = chance.choice((f"roles{self._directives()} {{ name settings __typename }}", ""))
        return f"{alias}app{directives} {{ {chance.choice(('id', 'a: defaultLocale', '__typename'))} {roles} }}"

    def _mutation(self) -> str:
        chance = self._chance
        alias, directives = self._alias(), self._directives()
        payload = " ".join(
            f"{self._alias(field)}{field}{self._directives()}" + (f" {{ {self._user()} }}" if field == "user" else "")
            for field in chance.choices(("user", "created", "__typename"), k=chance.choice((1, 2, 3)))
        )
        odds = chance.random()
        if odds < 0.25:
            return f"{alias}deleteUser(id: {self._id()}){directives} {{ {self._deleted()} }}"
        if odds < 0.7:
            given = chance.choice(
                (
                    "$set",
                    "{name: $text}",
                    '{name: "N", custom: $custom}',
                    '{name: "N", email: [$text]}',
                    "{locale: null}",
                    '{name: "N", pushTokens: $tokens}',
                    '{name: "N", custom: {k: $text}}',
                    "{name: 5}",
                    "{}",
                )
            )
            return f"{alias}setUser(id: {self._id()}, input: {given}){directives} {{ {payload} changed }}"
        given = chance.choice(
            ("$create", "{name: $name}", '{name: "N", custom: {a: "b"}}', '{name: "N", locale: $text}')
        )
        return f"{alias}createUserIfNotExists(id: {self._id()}, input: {given}){directives} {{ {payload} }}"

    def _deleted(self) -> str:
        """Return a selection of the payload of a deletion, perhaps in fragments."""
        chance = self._chance
        names = chance.choices(("deleted", "deleted", "__typename"), k=chance.choice((1, 1, 2)))
        parts = [f"{self._alias(name)}{name}{self._directives()}" for name in names]
        if chance.random() < 0.2:
            parts.append(f"...{chance.choice((' on DeleteUserPayload', ''))}{self._directives()} {{ {parts[0]} }}")
        if chance.random() < 0.2:
            self._fragments["D"] = f"fragment D on DeleteUserPayload {{ {parts[0]} }}"
            parts.append("...D")
        return " ".join(parts)

    def _subscription(self) -> str:
        chance = self._chance
        directives = self._directives() if chance.random() < 0.2 else ""
        if chance.random() < 0.7:
            return f"{self._alias()}userChanged(id: {self._id()}){directives} {{ {self._user()} }}"
        ids = chance.choice(
            ('["ann"]', '"ann"', '["ann", $id]', '["ann", "nobody", 5]', '["ann", ""]', '[$given, "ann"]')
        )
        return f"{self._alias()}usersChanged(ids: {ids}){directives} {{ {self._changes()} }}"

    def _changes(self) -> str:
        """Return a selection of a list of changes, some of it in fragments."""
        chance = self._chance
        parts = [
            f"{self._alias('id')}id{self._directives()}",
            f"{self._alias('user')}user{self._directives()} {{ {self._user()} }}",
            f"{self._alias('__typename')}__typename{self._directives()}",
        ]
        parts = chance.sample(parts, k=chance.choice((1, 2, 2, 3)))
        odds = chance.random()
        if odds < 0.2:
            parts.append(f"...{chance.choice((' on UserChange', ''))}{self._directives()} {{ {chance.choice(parts)} }}")
        elif odds < 0.4:
            self._fragments["C"] = f"fragment C on UserChange {{ {chance.choice(parts)} }}"
            parts.append(f"...C{self._directives()}")
        return " ".join(parts)

    def _user(self) -> str:
        """Return a selection of a user, some of it in fragments."""
        chance = self._chance
        parts = [self._leaves()]
        if chance.random() < 0.2:
            parts.append(f"...{chance.choice((' on User', ''))}{self._directives()} {{ {self._leaves()} }}")
        if chance.random() < 0.2:
            self._fragments["F"] = f"fragment F on User {{ {self._leaves()} }}"
            parts.append(f"...F{self._directives()}")
        chance.shuffle(parts)
        return " ".join(parts)

    def _leaves(self) -> str:
        chance = self._chance
        names = chance.choices((*USER_FIELDS, "__typename", "id", "name"), k=chance.choice((1, 2, 3, 5)))
        if chance.random() < 0.01:
            names.append("nick")
        return " ".join(f"{self._alias(name)}{name}{self._directives()}" for name in names)

    def _alias(self, of: str = "") -> str:
        """Return an alias that hardly ever stands for another field, too, which would be a bad document."""
        chance = self._chance
        if chance.random() < 0.02:
            return "a: "
        if of:
            return chance.choice(("", "", f"{of}1: ", f"{of[0]}_: " if of not in ("custom", "role") else ""))
        self._number += 1
        return f"a{self._number}: " if self._number > 1 else chance.choice(("", "a1: "))

    def _directives(self) -> str:
        chance = self._chance
        if chance.random() < 0.75:
            return ""
        names = chance.choice((("skip",), ("include",), ("include",), ("skip", "include")))
        return "".join(f" @{name}(if: {chance.choice(('true', 'false', '$yes', '$no', '$yes'))})" for name in names)

    def _id(self) -> str:
        literals = ('"ann"', '"nobody"', '""', "0", "5", "18446744073709551617", '"bob"')
        return self._chance.choice(("$id", "$id", "$id", "$given", *literals))

    def _ids(self) -> str:
        return self._chance.choice(
            (
                "$ids",
                "$ids",
                "$some",
                "[]",
                '"ann"',
                '["ann", "nobody", 5]',
                "[$id, 0]",
                "[$given, $id]",
                '["ann", ""]',
                "$id",
            )
        )
