"""The documentation as a site: built without a warning, every page there, every link within it good, and search."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

from userline.cli import main
from userline.gateway.rest.openapi import describe
from userline.gateway.websocket.protocol import CloseCode
from userline.settings.settings import load_settings
from userline.users.errors import ErrorCode

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` builds it."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--builder", "html"]
    built = subprocess.run(
        [*command, "-c", "docs", "-d", str(out / "doctrees"), ".", str(out / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    assert not built.stderr
    return out / "html"


class Page(HTMLParser):
    """The links of a page and the names of its places."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.places |= {given[name] or "" for name in ("id", "name") if name in given}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        self.loads += [
            url or "" for name, url in attrs if (tag, name) in {("script", "src"), ("img", "src"), ("link", "href")}
        ]


def pages_of(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_links_lead_somewhere(site: Path) -> None:
    pages = pages_of(site)
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists() or (
                parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places
            ):
                dead.append(f"{path.relative_to(site)}: {link}")
    assert not dead


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    """It can be read, and searched, without the internet."""
    foreign = {
        url
        for page in pages_of(site).values()
        for url in page.loads
        if urlsplit(url).netloc and not url.startswith("https://github.com")
    }
    assert not foreign
    assert not [path for path in site.rglob("*.css") if re.search(r"url\(['\"]?(https?:)?//", path.read_text())]


def test_every_page_of_the_repository_is_there_and_can_be_found(site: Path) -> None:
    wanted = {
        path.relative_to(ROOT).with_suffix("")
        for pattern in (
            "*.md",
            "docs/*.md",
            "docs/*/*.md",
            "clients/*/README.md",
            "deploy/README.md",
            "examples/*/README.md",
        )
        for path in ROOT.glob(pattern)
    }
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert wanted <= built
    index = json.loads((site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    assert {str(page) for page in wanted} == set(index["docnames"])


def test_the_first_page_leads_to_the_rest(site: Path) -> None:
    assert 'url=docs/index.html"' in (site / "index.html").read_text()
    start = Page(site / "docs" / "index.html")
    assert {"../README.html", "../PROTOCOL.html", "../SECURITY.html", "settings.html"} <= set(start.links)


def text_of(site: Path, page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", (site / f"{page}.html").read_text()))


def test_the_reference_has_every_command_and_operation(site: Path) -> None:
    commands = text_of(site, "docs/reference/commands")
    for command in main.userline.list_commands(click.Context(main.userline)):
        assert f"Usage: userline {command} " in commands
    rest = text_of(site, "docs/reference/rest")
    paths = describe(load_settings({}), with_tokens=True)["paths"]
    operations = [
        f"{method.upper()} {path}" for path, at_path in paths.items() for method in at_path.keys() - {"parameters"}
    ]
    assert len(operations) >= 5
    assert [operation for operation in operations if operation not in rest] == []
    assert (ROOT / "schema" / "schema.graphql").read_text().strip() in text_of(site, "docs/reference/graphql")


def test_the_reference_has_every_name_of_the_clients(site: Path) -> None:
    source = (ROOT / "clients/python/src/userline_client/__init__.py").read_text()
    names = set(re.findall(r'^    "(\w+)",$', source, re.MULTILINE))
    assert len(names) > 40
    assert names - set(re.findall(r"\w+", text_of(site, "docs/reference/python"))) == set()
    exported = re.compile(r"^export (?:interface|type|class|const|function) (\w+)", re.MULTILINE)
    sources = [ROOT / "clients/typescript/src" / name for name in ("index.ts", "types.ts", "errors.ts")]
    sources.append(ROOT / "clients/react/src/types.ts")
    names = {name for source in sources for name in exported.findall(source.read_text())}
    names |= set(re.findall(r"\b[uU]se[rA-Z]\w+", (ROOT / "clients/react/src/index.ts").read_text()))
    assert len(names) > 60
    page = text_of(site, "docs/reference/typescript")
    assert {name for name in names if name not in page} - {"Kind"} == set()  # how errors are declared


def test_the_tables_of_codes_are_whole() -> None:
    errors = (ROOT / "docs" / "api.md").read_text()
    assert [code for code in ErrorCode if f"| `{code}` |" not in errors] == []
    closes = (ROOT / "PROTOCOL.md").read_text()
    assert [code for code in CloseCode if f"| {code.value} | `{code.name}` |" not in closes] == []


def test_the_gateways_policy_fits_every_page(site: Path) -> None:
    """Each script that stands in a page is one that the policy of /docs allows."""
    (first,) = set(re.findall(r"<script>(.*?)</script>", (site / "docs/index.html").read_text(), re.DOTALL))
    for path in site.rglob("*.html"):
        scripts = set(re.findall(r"<script>(.*?)</script>", path.read_text(), re.DOTALL))
        assert scripts <= {first}, path
