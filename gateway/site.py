"""The documentation as a site, at ``/docs`` of a gateway in development, where ``make docs`` has built it."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from userline.settings.settings import Settings

_BUILT: Final = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
_START: Final = "docs/index.html"
_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def site_of(settings: Settings, built: Path = _BUILT) -> Path | None:
    """Return the directory of the site if it is to be served: in development, in a checkout where it was built."""
    return built if settings.env == "development" and (built / _START).is_file() else None


def site_routes(site: Path | None) -> list[BaseRoute]:
    """Return the routes of a site, none if there is none."""
    if site is None:
        return []
    return [Route("/docs", _to_start), Route("/docs/", _to_start), Mount("/docs", _Pages(directory=site))]


class _Pages(StaticFiles):
    """The files of the site, under a policy that lets pages load nothing from elsewhere."""

    def __init__(self, *, directory: Path) -> None:
        super().__init__(directory=directory)
        self._policy = _policy((directory / _START).read_text())

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, which browsers ask for again after the next build."""
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        response.headers["content-security-policy"] = self._policy
        response.headers["referrer-policy"] = "no-referrer"
        response.headers["x-content-type-options"] = "nosniff"
        return response


def _policy(page: str) -> str:
    """Return the policy for pages like this one. The theme begins each page with the same short script."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in _INLINE.findall(page)]
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *sorted({f"'sha256-{digest}'" for digest in hashes})]),
            "style-src 'self' 'unsafe-inline'",  # the theme writes styles into its pages
            "font-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",  # the search
            "frame-ancestors 'none'",
        ]
    )


async def _to_start(request: Request) -> Response:
    return RedirectResponse(_START if request.url.path.endswith("/") else f"docs/{_START}")
