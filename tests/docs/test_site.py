"""The documentation as a site: built without a warning, every page there, every link within it good, and search."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

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
