"""What a client in another language asks of the test: tokens, changes by somebody else, a restart of the gateway."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.gateway import RunningGateway
from tests.support.ports import free_port
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from pathlib import Path

LEEWAY_SECONDS = 30
"""How long a gateway goes on taking a token after its end."""


class GuardedGateway:
    """A gateway that asks for tokens, and stays at its address when it is restarted."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self._directory = directory
        self._flags = ("--port", str(free_port()), "--bad-tokens-per-second", "0", *flags)
        self._running = self._start()
        self.url = self._running.url

    def restart(self) -> None:
        """Stop it as an operator would, and start it again a little later."""
        self.stop()
        time.sleep(0.5)
        self._running = self._start()

    def put(self, user_id: str, patch: dict[str, Any]) -> None:
        """Write a user as a back end does."""
        answer = self._running.http.put(self._address(user_id), json=patch, headers=_as_back_end())
        answer.raise_for_status()

    def get(self, user_id: str) -> Any:
        """Return the whole user."""
        return self._running.http.get(self._address(user_id), headers=_as_back_end()).json()

    def stop(self) -> None:
        assert self._running.stop() == 0, self._running.log
        assert "Traceback" not in self._running.log, self._running.log

    def _start(self) -> RunningGateway:
        return RunningGateway(self._directory, *self._flags, env={"USERLINE_SECRET": SECRET})

    def _address(self, user_id: str) -> str:
        return f"/v1/userline/users/{quote(user_id, safe='')}"


def _as_back_end() -> dict[str, str]:
    return {"authorization": f"Bearer {token_of(None)}"}


class Control(ThreadingHTTPServer):
    """Serves what the clients ask for, each by a GET that any language can send.

    ``/token?user=ID&seconds=N`` is a token that the gateway takes for so long (without a user, a server's);
    ``/change?id=ID&name=NAME`` has a back end write, ``/user?id=ID`` is the whole user as JSON, and ``/restart``
    answers when the gateway is there again.
    """

    daemon_threads = True

    def __init__(self, gateway: GuardedGateway) -> None:
        self.gateway = gateway
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def asked(self, path: str, given: dict[str, str]) -> str:
        """Return what a request is answered with."""
        match path:
            case "/token":
                expires = time.time() - LEEWAY_SECONDS + float(given.get("seconds", "3600"))
                return token_of(given.get("user"), exp=expires)
            case "/change":
                self.gateway.put(given["id"], {"name": given["name"]})
            case "/user":
                return json.dumps(self.gateway.get(given["id"]))
            case "/restart":
                self.gateway.restart()
            case _:
                raise ValueError(path)
        return "done"


class _Handler(BaseHTTPRequestHandler):
    server: Control

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            status, body = 200, self.server.asked(url.path, given).encode()
        except Exception as error:  # noqa: BLE001 - the client says what it got
            status, body = 500, repr(error).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("access-control-allow-origin", "*")  # pages ask, too
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
