"""Many different documents, of every kind and size that a caller can send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_FIELDS: Final = "id name custom locale photoUrl role welcomeMessage effectiveLocale"


def _aliases(number: int, size: float) -> str:
    """Return lookups under many names."""
    many = max(1, int(size * 29))
    return (
        f"query Q{number} {{" + " ".join(f'a{n}: user(id: "u{number}-{n}") {{ {_FIELDS} }}' for n in range(many)) + "}"
    )


def _operations(number: int, size: float) -> str:
    """Return many operations, the first of which is asked for."""
    many = max(1, int(size * 70))
    return "".join(f'query Q{number}x{n} {{ user(id: "u") {{ id name }} }} ' for n in range(many))


def _conditions(number: int, size: float) -> str:
    """Return what is compiled once for each combination of its variables."""
    variables = ", ".join(f"$v{n}: Boolean = true" for n in range(4))
    fields = "id @include(if: $v0) name @skip(if: $v1) role @include(if: $v2) locale @skip(if: $v3)"
    many = max(1, int(size * 10))
    return (
        f"query Q{number}({variables}) {{" + " ".join(f'a{n}: user(id: "u") {{ {fields} }}' for n in range(many)) + "}"
    )


def _variables(number: int, size: float) -> str:
    many = max(1, int(size * 25))
    defined = ", ".join(f'$v{n}: ID! = "u{number}"' for n in range(many))
    return f"query Q{number}({defined}) {{" + " ".join(f"a{n}: user(id: $v{n}) {{ id }}" for n in range(many)) + "}"


def _comments(number: int, size: float) -> str:
    """Return a document that is nearly all comment, in characters that take four bytes each."""
    return f'query Q{number} {{ user(id: "u") {{ id }} }} #' + "😀" * int(size * 14_000)


def _strings(number: int, size: float) -> str:
    ids = ", ".join(f'"u{number}-{n}"' for n in range(max(1, int(size * 900))))
    return f"query Q{number} {{ users(ids: [{ids}]) {{ id }} }}"


def _long_names(number: int, size: float) -> str:
    """Return a document with one long name."""
    return f'query Q{number}{"x" * int(size * 14_000)} {{ user(id: "u") {{ id }} }}'


def _long_aliases(number: int, size: float) -> str:
    name = "y" * max(1, int(size * 450))
    return f'query Q{number} {{ user(id: "u") {{' + " ".join(f"{name}{n}: name" for n in range(29)) + "}}"


def _unknown_fields(number: int, size: float) -> str:
    """Return what is refused with many errors."""
    many = max(1, int(size * 400))
    return f'query Q{number} {{ user(id: "u") {{' + " ".join(f"bad{n}x{number}" for n in range(many)) + "}}"


def _broken(number: int, size: float) -> str:
    return f"query Q{number} {{" + "{" * int(size * 900)


def _introspection(number: int, size: float) -> str:
    many = max(1, int(size * 4))
    return (
        f"query Q{number} {{"
        + " ".join(f"a{n}: __schema {{ types {{ name fields {{ name }} }} }}" for n in range(many))
        + "}"
    )


def _writes(number: int, size: float) -> str:
    many = max(1, int(size * 25))
    return (
        f"mutation Q{number} {{"
        + " ".join(
            f'a{n}: createUserIfNotExists(id: "u{n}", input: {{ name: "U" }}) {{ created user {{ id }} }}'
            for n in range(many)
        )
        + "}"
    )


KINDS: Final[tuple[Callable[[int, float], str], ...]] = (
    *(_aliases, _operations, _conditions, _variables, _comments, _strings, _long_names, _long_aliases),
    *(_unknown_fields, _broken, _introspection, _writes),
)


def document(number: int, chance: random.Random, kind: Callable[[int, float], str] | None = None) -> str:
    """Return one that is like no other, of a kind and a size by chance; the largest are the most frequent."""
    size = 1 - chance.random() ** 3
    return (kind or chance.choice(KINDS))(number, size)
