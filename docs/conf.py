"""How Sphinx builds the documentation site: `make docs`.

Its pages are the Markdown files of the repository as they stand, which can be read there too: links between them are
links on the site, and what they link to that is no page (code, folders) stands there as text.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.addnodes import pending_xref
from sphinx.transforms.post_transforms import SphinxPostTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "userline"
author = "the userline developers"
(version,) = re.findall(r'__version__ = "(.+)"', (ROOT / "src/userline/__init__.py").read_text())
release = version

sys.path[:0] = [str(ROOT / "docs/_ext"), str(ROOT / "clients/python/src")]
extensions = ["myst_parser", "sphinx.ext.autodoc", "reference"]
autodoc_typehints = "none"
add_module_names = False
include_patterns = ["*.md", "docs/**.md", "clients/*/README.md", "deploy/README.md", "examples/*/README.md"]
myst_heading_anchors = 4
root_doc = "docs/index"

html_theme = "furo"
html_title = f"userline {version}"
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
html_domain_indices = False
html_extra_path = ["site"]
html_static_path = ["_static"]
html_css_files = ["site.css"]


class LinksToNoPage(SphinxPostTransform):
    """Has a link to what is in the repository and no page stand as text. Any other that leads nowhere is a warning."""

    default_priority = 5  # before those that resolve links

    def run(self, **_: object) -> None:
        """Look at the links of one page."""
        for link in list(self.document.findall(pending_xref)):
            place = Path(self.env.doc2path(link.get("refdoc", self.env.docname))).parent / str(link["reftarget"])
            if link["reftype"] == "myst" and link["refdomain"] != "doc" and place.exists():
                link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Have Sphinx use the above."""
    app.add_post_transform(LinksToNoPage)
