"""The documentation at /docs: in development where it was built, and never in production."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET

from userline.gateway.site import site_of, site_routes
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = 'document.body.dataset.theme = "auto";'
PAGE = f'<!doctype html><script>{SCRIPT}</script><script src="x.js"></script><p>Start'


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "html"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "index.html").write_text(PAGE)
    (folder / "docs" / "x.js").write_text("1")
    (tmp_path / "secret").write_text("outside")
    return folder


class Client:
    """Asks an application with the routes of the site alone."""

    def __init__(self, site: Path) -> None:
        self._app = Starlette(routes=site_routes(site))
        self._app.router.redirect_slashes = False  # as the gateway has it

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.get(path)

        return asyncio.run(ask())


@pytest.fixture
def client(built: Path) -> Client:
    return Client(built)


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_address_leads_to_the_first_page(client: Client, path: str) -> None:
    """By a relative address, which is right behind a proxy that puts something before it."""
    answer = client.get(path)
    assert answer.status_code == 307
    assert not answer.headers["location"].startswith(("/", "http"))
    assert answer.url.join(answer.headers["location"]).path == "/docs/docs/index.html"
    assert "Start" in client.get("/docs/docs/index.html").text


def test_pages_load_nothing_from_elsewhere(client: Client) -> None:
    for path in ("/docs/docs/index.html", "/docs/docs/x.js"):
        headers = client.get(path).headers
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
        assert policy["script-src"] == f"'self' 'sha256-{digest}'"
        assert not re.search(r"https?:|\*", headers["content-security-policy"])
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/docs/../secret", "/docs/..%2fsecret", "/docs/%2e%2e/secret", "/docs/none.html", "/docs/docs"]
)
def test_nothing_else_is_there(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_it_is_for_development_and_has_to_be_built(built: Path, tmp_path: Path) -> None:
    development, production = load_settings({}), load_settings({"env": "production", "secret": SECRET})
    assert site_of(development, built) == built
    assert site_of(production, built) is None
    assert site_of(development, tmp_path / "elsewhere") is None
    assert site_routes(None) == []


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_gateway_says_where_it_is(env: str, tmp_path: Path) -> None:
    gateway = RunningGateway(tmp_path, env={"USERLINE_ENV": env, "USERLINE_SECRET": SECRET})
    is_served = env == "development" and site_of(load_settings({})) is not None
    try:
        answer = gateway.http.get("/docs", follow_redirects=True)
        assert answer.status_code == (200 if is_served else 404)
        assert (f"Documentation at {gateway.url}/docs." in gateway.log) is is_served
    finally:
        gateway.stop()
