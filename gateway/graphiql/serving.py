"""GraphiQL's page as a response."""

from __future__ import annotations

from starlette.responses import Response

from userline.gateway.graphiql.page import CONTENT_SECURITY_POLICY, MISSING_PAGE, index_page


def graphiql_page() -> Response:
    """Return the page, or what is said in its place if it is not built."""
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
