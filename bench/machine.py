"""What a run was made on, and of."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from bench.wrk import find_wrk
from userline import __version__

if TYPE_CHECKING:
    from collections.abc import Collection

    from bench.site import Site

_PYTHON_PACKAGES: Final = ("strawberry-graphql", "ariadne", "uvicorn")
_NODE_PACKAGES: Final = (
    "@apollo/server",
    "graphql-yoga",
    "mercurius",
    "graphql-ws",
    "ws",
    "graphql",
    "mongodb",
    "better-sqlite3",
)
_PEERS: Final = Path(__file__).parent / "peers"
_LOCK: Final = _PEERS / "node" / "package-lock.json"
_NATIVE: Final = {
    "gqlgen": (_PEERS / "gqlgen" / "go.mod", r"gqlgen v(\S+)"),
    "async-graphql": (_PEERS / "async-graphql" / "Cargo.toml", r'async-graphql = .*?"=([^"]+)"'),
}


def describe() -> dict[str, str]:
    """Return what there is to say about this machine."""
    try:
        model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        model = None
    return {
        "cpu": f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}) for servers and load",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions(site: Site, asked: Collection[str]) -> dict[str, str]:
    """Return the versions of the gateway, its peers and what they run on; of compiled peers, those of ``asked``."""
    found = {"userline": __version__, "Python": platform.python_version()}
    found |= {name: version(name) for name in _PYTHON_PACKAGES}
    if site.node is not None:
        found["Node"] = ".".join(map(str, site.node.version))
        packages = orjson.loads(_LOCK.read_bytes())["packages"]
        found |= {name: packages[f"node_modules/{name}"]["version"] for name in _NODE_PACKAGES}
    for name, (file, pattern) in _NATIVE.items():
        match = re.search(pattern, file.read_text())
        if name in asked and site.missing(name) is None and match is not None:
            found[name] = match[1]
    database, about = site.database
    found[database] = about
    wrk = find_wrk()
    if wrk:
        printed = subprocess.run([wrk, "--version"], capture_output=True, text=True, check=False).stdout
        found["wrk"] = printed.split()[1].rpartition("/")[2]
    return found
