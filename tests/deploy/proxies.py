"""nginx and Caddy with the configurations that are shipped, and what is asked through every proxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.needed import program
from tests.support.proxy import Proxy, changed, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from tests.support.gateway import RunningGateway

TRUSTED: Final = ("--trusted-proxies", "127.0.0.1", "--drain-seconds", "2")
NAME: Final = 'mutation($name: String!) { setUser(id: "alice", input: {name: $name}) { changed } }'

DEPLOY: Final = Path(__file__).parents[2] / "deploy"


def nginx(directory: Path, gateways: Sequence[str]) -> Proxy:
    """Start nginx with its shipped configuration, inside a whole one as Debian's is."""

    def start(directory: Path, port: int) -> list[str]:
        ports = [("listen 8000;", f"listen 127.0.0.1:{port};")]
        site = directory / "userline.conf"
        site.write_text(changed(DEPLOY / "nginx.conf", [*ports, *names_of(gateways)]))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        main = directory / "nginx.conf"
        main.write_text(
            f"user root; worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log stderr;"
            f"events {{ worker_connections 512; }} http {{ access_log off; {places} include {site}; }}"
        )
        return [program("nginx"), "-p", str(directory), "-c", str(main)]

    return Proxy(directory, start)


def caddy(directory: Path, gateways: Sequence[str]) -> Proxy:
    """Start Caddy with its shipped configuration; without its interface for administrators, which has a fixed port."""

    def start(directory: Path, port: int) -> list[str]:
        ports = [
            (r"(?m)^:8000 \{", f"http://127.0.0.1:{port} {{"),
            (r"grace_period 10s", "grace_period 1s\n\tadmin off"),
        ]
        file = directory / "Caddyfile"
        file.write_text(changed(DEPLOY / "Caddyfile", [*ports, *names_of(gateways)]))
        return [program("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]

    return Proxy(directory, start)


def addresses(gateways: Sequence[RunningGateway]) -> list[str]:
    """Return what a proxy calls them by."""
    return [gateway.url.removeprefix("http://") for gateway in gateways]


async def set_name(http: httpx.AsyncClient, name: str) -> None:
    """Give Alice another name."""
    answer = await http.post("/graphql", json={"query": NAME, "variables": {"name": name}})
    assert answer.json() == {"data": {"setUser": {"changed": True}}}, answer.text
