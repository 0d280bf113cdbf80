"""The letters that private names get in what is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from clients.typescript.tests.conftest import Node

NAMES = Path(__file__).parents[2] / "names.mjs"
SCRIPT = f"""
  import {{ lettersFor, privateNames }} from {json.dumps(NAMES.as_uri())};
  const names = privateNames(process.argv[1]);
  const mark = (name) => `MARK${{name}}`;
  const program = [...names.keys()].map((name) => `x.${{mark(name)}} = 1;`).join('');
  console.log(JSON.stringify(lettersFor(names, [program, program + program], mark)));
"""
SOURCE = """
export interface Place {
  readonly _street: string;
  _town?: string | undefined;
}

interface House extends Place {
  _rooms(): number;
}

export class Tree<T extends object> extends Plant implements Thing {
  declare readonly _leaves: T;
  static _count = 0;
  async _grow(): Promise<void> {
    this._leaves._color = this._height;
  }
}

class Plant {
  _height = 1;
}

abstract class Oak<T extends object> extends Tree<T> {
  _acorns = 1;
}

// What is _nowhere is only in a comment.
interface Leaf {
  _color: string;
}

interface Garden {
  _tree: string;
}

const both = { _color: 'green', _tree: 'ash' };
"""


def letters(node: Node, folder: Path, source: str) -> CompletedProcess[str]:
    """Return what becomes of the names of a source."""
    (folder / "source.ts").write_text(source)
    return node.run("--input-type=module", "-e", SCRIPT, folder)


def test_what_an_object_has_gets_letters_of_its_own(node: Node, tmp_path: Path) -> None:
    done = letters(node, tmp_path, SOURCE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for together in (
        {"_street", "_town", "_rooms"},
        {"_leaves", "_count", "_grow", "_height", "_acorns"},
        {"_color", "_tree"},
    ):
        assert len({found[name] for name in together}) == len(together)
    assert "_nowhere" not in found
    assert len(set(found.values())) == 5


@pytest.mark.parametrize("undeclared", ["thing._other = 1;", "const { _other } = thing;"])
def test_what_no_type_declares_is_refused(node: Node, tmp_path: Path, undeclared: str) -> None:
    done = letters(node, tmp_path, f"{SOURCE}\n{undeclared}\n")
    assert done.returncode != 0
    assert "No interface or class declares _other." in done.stderr


def test_a_type_that_cannot_be_read_is_refused(node: Node, tmp_path: Path) -> None:
    done = letters(node, tmp_path, f"{SOURCE}\nclass Odd<T = Map<string, string>> {{\n  _odd = 1;\n}}\n")
    assert done.returncode != 0
    assert "can be read." in done.stderr


def test_an_object_has_at_most_as_many_names_as_there_are_letters(node: Node, tmp_path: Path) -> None:
    members = "".join(f"  _name{number}: string;\n" for number in range(53))
    done = letters(node, tmp_path, f"interface Large {{\n{members}}}\n")
    assert done.returncode != 0
    assert "There are too many private names beside _name" in done.stderr
