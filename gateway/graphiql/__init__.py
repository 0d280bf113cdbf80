"""The page that a browser gets at ``/graphql``: GraphiQL, bundled at build time, so that it needs no internet access.

``web/`` holds the page's sources and pins its npm packages, :mod:`.build` makes ``static/`` from them, and
:mod:`.page` says what to serve.
"""
