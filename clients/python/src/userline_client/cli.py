"""The command ``userline-watch``: shows users live."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from userline_client.errors import InvalidInput, UserlineError
from userline_client.session import Session
from userline_client.snapshot import SEEN
from userline_client.states import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline_client.snapshot import UserSnapshot

_DESCRIPTION = "Print users of a userline gateway as they are now, and again after each change, until Ctrl+C."
_NOT_SAID = ("id", "name", "version", "effective_locale")  # those that are said first, and those of no news
_EPILOG = """\
example:
  userline-watch ws://127.0.0.1:8000/graphql alice bob

The token may also be in the environment variable USERLINE_TOKEN, where other users of the machine do not see it. If the
connection is lost, the command connects again. The exit code is 1 if the gateway refuses the request, and 2 for wrong
arguments.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        "userline-watch", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", metavar="URL", help="the gateway's address, such as ws://127.0.0.1:8000/graphql")
    parser.add_argument("ids", metavar="ID", nargs="+", help="the id of a user to watch")
    parser.add_argument("--token", default=os.environ.get("USERLINE_TOKEN"), help="a JWT, if the gateway requires one")
    parser.add_argument("--json", action="store_true", help='print one JSON object a line: {"id": …, "user": …}')
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    try:
        return asyncio.run(_watch(options.url, options.ids, options.token or None, as_json=options.json))
    except InvalidInput as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads any more; the interpreter would complain about it
        return 0


async def _watch(url: str, ids: Sequence[str], token: str | None, *, as_json: bool) -> int:
    """Watch until all subscriptions have ended, and return the exit code."""
    broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def show(user_id: str, snapshot: UserSnapshot | None) -> None:
        try:
            print(_line(user_id, snapshot, as_json=as_json), flush=True)  # noqa: T201
        except BrokenPipeError as error:
            if not broken.done():
                broken.set_exception(error)

    async with Session(url, token=token, on_error=lambda _: None) as session:
        subscriptions = {
            user_id: session.user(user_id).subscribe(partial(show, user_id)) for user_id in dict.fromkeys(ids)
        }
        ended = asyncio.gather(*(subscription.terminated for subscription in subscriptions.values()))
        waiting: list[asyncio.Future[Any]] = [ended, broken]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            ended.cancel()
            await broken
    errors: dict[str, UserlineError] = {
        user_id: subscription.state.error
        for user_id, subscription in subscriptions.items()
        if isinstance(subscription.state, Failed)
    }
    for sentence in dict.fromkeys(f"{error.message} ({error.code})" for error in errors.values()):
        print(f"userline-watch: {sentence}", file=sys.stderr)  # noqa: T201
    return 1


def _line(user_id: str, snapshot: UserSnapshot | None, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"id": user_id, "user": None if snapshot is None else _as_dict(snapshot)}, ensure_ascii=False)
    if snapshot is None:
        return f"{user_id}: there is no such user"
    said = []
    for attribute, _ in SEEN:
        value = getattr(snapshot, attribute)
        if isinstance(value, str) and attribute not in _NOT_SAID and (attribute, value) != ("role", "default"):
            said.append(f"{attribute.removesuffix('_url').replace('_', ' ')} {value}")
    if snapshot.custom:
        said.append(", ".join(f"{key}={value}" for key, value in sorted(snapshot.custom.items())))
    return "  ".join([f"{user_id}: {snapshot.name}", *said])


def _as_dict(snapshot: UserSnapshot) -> dict[str, object]:
    return {name: getattr(snapshot, attribute) for attribute, name in SEEN}
