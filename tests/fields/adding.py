"""The recipe of docs/contributing.md, done to a copy of the tree: a field more, ``pronouns``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support import trees

if TYPE_CHECKING:
    from pathlib import Path

MOST_CHARACTERS: Final = 40

_ROW = f"""
    Field(
        name="pronouns",
        attribute="pronouns",
        kind=Kind.TEXT,
        output="How to speak of the user, such as they/them.",
        input="How to speak of the user, such as they/them. At most {MOST_CHARACTERS} characters. null = not said.",
        most_characters={MOST_CHARACTERS},
    ),"""

SERVER_EDITS: Final = (
    (
        "users/fields.py",
        """
        output="The first message that others see when they start a conversation with the user.",
        input="The first message that others see when they start a conversation with the user. null = none.",
    ),""",
        _ROW,
    ),
    ("users/record.py", "\n    welcome_message: str | None", "\n    pronouns: str | None = None"),
    ("storage/sqlite/database.py", "\nADDED_COLUMNS: Final[dict[str, str]] = {", '\n    "pronouns": "TEXT",\n'),
    (
        "docs/api.md",
        "\n| `welcomeMessage` | string | `null` | |",
        f"\n| `pronouns` | string, at most {MOST_CHARACTERS} characters | `null` | such as they/them |",
    ),
)
CLIENT_EDITS: Final = (
    ("clients/python/src/userline_client/fields.py", "\n    welcome_message: _Text", "\n    pronouns: _Text"),
    (
        "clients/python/src/userline_client/snapshot.py",
        "\n    welcome_message: str | None",
        "\n    pronouns: str | None = None",
    ),
    (
        "clients/typescript/src/types.ts",
        "\n  readonly welcomeMessage: string | null;",
        "\n  readonly pronouns: string | null;",
    ),
    (
        "clients/typescript/src/types.ts",
        "\n  welcomeMessage?: string | null | undefined;",
        "\n  pronouns?: string | null | undefined;",
    ),
    ("clients/typescript/src/snapshot.ts", "\n  'welcomeMessage',", "\n  'pronouns',"),
)


def tree_with_a_field(directory: Path) -> Path:
    """Copy this tree into a directory, add the field, and write the schema anew, as ``make schema`` does."""
    tree = trees.this_tree(directory)
    trees.edit(tree, SERVER_EDITS)
    trees.edit(tree, CLIENT_EDITS)
    schema = trees.run(tree, "-m", "userline", "schema")
    (tree / "schema" / "schema.graphql").write_text(schema)
    return tree
