"""What the reference has from the program itself: the help of its commands, and the operations of the REST API.

What the TypeScript client throws is read from its sources.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from click.testing import CliRunner
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from userline.cli.main import userline
from userline.gateway.rest.openapi import describe
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
_WITH_SETTINGS = "\nServing:\n"


def help_of(command: str) -> str:
    """Return the help of a command, without the flags of settings, which have a page of their own."""
    shown = CliRunner().invoke(userline, [command, "--help"], prog_name="userline", terminal_width=100)
    text, settings, _ = shown.output.partition(_WITH_SETTINGS)
    return text.rstrip() + ("\n\nand the flags of all settings." if settings else "")


def operations() -> Iterator[str]:
    """Yield the lines of a table, in Markdown, of all operations over REST."""
    yield "| request | what it does |"
    yield "|---|---|"
    for path, at_path in describe(load_settings({}), with_tokens=True).get("paths", {}).items():
        for method, operation in at_path.items():
            if method in ("get", "put", "delete", "post", "patch"):
                says = f"{operation['summary']}. {operation.get('description', '')}"
                yield f"| `{method.upper()} {path}` | {' '.join(says.split())} |"


def errors() -> Iterator[str]:
    """Yield the lines of a table, in Markdown, of the errors of the TypeScript client."""
    yield "| class | code | meaning |"
    yield "|---|---|---|"
    source = (ROOT / "clients/typescript/src/errors.ts").read_text()
    meanings = {name: text for text, name in re.findall(r"/\*\* ([^\n]*) \*/\nexport interface (\w+)[ <]", source)}
    for name, code in re.findall(r"export const (\w+) = .*? kind<\w+>\('(\w+)'", source):
        yield f"| `{name}` | `{code}` | {meanings[name]} |"


class HelpOfCommand(SphinxDirective):
    """Shows the help of the command that it names."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the help as it is printed."""
        text = help_of(self.arguments[0])
        return [nodes.literal_block(text, text, language="text")]


class _Table(SphinxDirective):
    """Shows a table that is written in Markdown."""

    lines: Callable[[], Iterator[str]]

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        place = nodes.container()
        self.state.nested_parse(StringList(list(type(self).lines()), "reference"), self.content_offset, place)
        return place.children


class RestOperations(_Table):
    """Shows the operations of the REST API."""

    lines = staticmethod(operations)


class TypeScriptErrors(_Table):
    """Shows the errors of the TypeScript client."""

    lines = staticmethod(errors)


def setup(app: Sphinx) -> dict[str, bool]:
    """Have Sphinx use the above."""
    app.add_directive("help-of-command", HelpOfCommand)
    app.add_directive("rest-operations", RestOperations)
    app.add_directive("typescript-errors", TypeScriptErrors)
    return {"parallel_read_safe": True}
