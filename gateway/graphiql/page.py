"""The page for browsers, its files, and its content security policy."""

from functools import lru_cache
from pathlib import Path
from typing import Final

from starlette.responses import Response

_STATIC = Path(__file__).parent / "static"

CONTENT_SECURITY_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # Monaco writes its theme and its layout into style elements
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self' ws: wss:",  # not every browser counts the page's own WebSocket as 'self'
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""The Content-Security-Policy header to send with the page, built or missing: nothing comes from another origin."""

MISSING_PAGE: Final = b"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>userline</title>
    <link rel="icon" href="data:,">
    <style>body { font: 16px/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 40rem; padding: 0 1rem }</style>
  </head>
  <body>
    <h1>GraphiQL isn't built</h1>
    <p>The API works: <code>POST</code> a GraphQL operation to this address. Only the page that a browser gets here is
    missing, because its assets haven't been built. In a checkout of userline, build them with</p>
    <pre><code>make graphiql</code></pre>
    <p>and start the gateway again. An installed package brings them along.</p>
  </body>
</html>
"""
"""The page to send where :func:`index_page` is None: it says how to build the assets, and loads nothing."""


def graphiql_page() -> Response:
    """Return the page as a response, or what is said in its place if it is not built."""
    page = index_page()
    return Response(
        page or MISSING_PAGE,
        200 if page else 503,
        {
            "cache-control": "no-cache",
            "content-security-policy": CONTENT_SECURITY_POLICY,
            "content-type": "text/html; charset=utf-8",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "x-frame-options": "DENY",
        },
    )


def static_directory() -> Path:
    """Return the directory of the files that the page loads from ``graphiql/`` beside it; absent until it is built.

    The names of the scripts, styles and fonts in it carry a hash of their content: they never change.
    """
    return _STATIC / "graphiql"


def index_page() -> bytes | None:
    """Return the page, read once for each build, or None if the assets aren't built.

    It refers to what it loads relative to its own address: it stands at ``…/graphql``, without a slash at the end.
    """
    try:
        return _read_page((_STATIC / "index.html").stat().st_mtime_ns)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=1)
def _read_page(modified: int) -> bytes:  # noqa: ARG001 - tells one build from the next
    return (_STATIC / "index.html").read_bytes()
