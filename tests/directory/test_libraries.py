"""Libraries with tables are loaded by the first write that needs them, and never by the thread of the event loop."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from userline.users.fields import GIVEN

WRITTEN = """
import asyncio, json, sys, threading

from tests.support.parts import Gateway
from userline.users.errors import UserlineError
from userline.users.viewer import OPEN_VIEWER

libraries = json.loads(sys.argv[3])
loaded = {}


class Watch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in libraries:
            loaded[name] = threading.current_thread() is threading.main_thread()


sys.meta_path.insert(0, Watch)
gateway = Gateway()


async def write():
    users, given = gateway.users, json.loads(sys.argv[2])
    try:
        if sys.argv[1] == "set":
            await users.set("u", given, viewer=OPEN_VIEWER)
        elif sys.argv[1] == "create":
            await users.create_if_not_exists("u", given, viewer=OPEN_VIEWER)
        else:
            await users.set_many({"none": 7, "other": {"name": "O"}, "u": given})
    except UserlineError as error:
        return str(error)


async def write_twice():
    return [await write(), await write()]


told = asyncio.run(write_twice())
print(json.dumps({"loaded": loaded, "told": told}))
"""
LIBRARIES = {field.name: field.library for field in GIVEN if field.library is not None}
VALUES: dict[str, Any] = {"locale": "pt-BR", "email": ["alice@example.com"], "phone": "+14155552671"}


def brought_by(door: str, given: dict[str, Any]) -> tuple[dict[str, bool], list[str | None]]:
    """Return the libraries that two writes have loaded, with whether the main thread did, and what the writes said."""
    command = [sys.executable, "-c", WRITTEN, door, json.dumps(given), json.dumps([*LIBRARIES.values()])]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return told["loaded"], told["told"]


def test_every_field_whose_check_needs_a_library_is_tried() -> None:
    assert LIBRARIES.keys() == VALUES.keys()


@pytest.mark.parametrize("door", ["set", "create", "set_many"])
def test_no_write_holds_up_others_by_loading_a_library(door: str) -> None:
    assert brought_by(door, {"name": "N"} | VALUES)[0] == dict.fromkeys(LIBRARIES.values(), False)


@pytest.mark.parametrize("field", VALUES)
def test_a_field_brings_its_library_alone_and_is_checked_then(field: str) -> None:
    loaded, told = brought_by("set", {"name": "N", field: "n o n e"})
    assert loaded == {LIBRARIES[field]: False}
    assert [f"{field} " in str(each) for each in told] == [True, True]


def test_other_fields_bring_none() -> None:
    assert brought_by("set", {"name": "N", "custom": {"locale": "de"}, "role": "default"}) == ({}, [None, None])
