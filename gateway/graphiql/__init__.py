"""The page that a browser gets at ``/graphql``: GraphiQL, bundled at build time, so that it needs no internet access.

``web/`` holds the page's sources and pins its npm packages, :mod:`.build` makes ``static/`` from them, and
:mod:`.page` says what to serve.
"""

from userline.gateway.graphiql.page import CONTENT_SECURITY_POLICY, MISSING_PAGE, index_page, static_directory

__all__ = ["CONTENT_SECURITY_POLICY", "MISSING_PAGE", "index_page", "static_directory"]
