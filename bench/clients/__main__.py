"""The command: ``python -m bench.clients``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from userline.gateway.graphiql.build import BuildError, install_packages, require_node

HERE: Final = Path(__file__).resolve().parent
CLIENT: Final = HERE.parents[1] / "clients" / "typescript"


def main() -> int:
    """Install the clients, build ours, measure; return the exit code."""
    try:
        node = require_node()
        for directory in (CLIENT, HERE):
            install_packages(directory, node)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for directory, command in ((CLIENT, ["build.mjs"]), (HERE, ["run.mjs", *sys.argv[1:]])):
        done = subprocess.run([str(node.executable), *command], cwd=directory, env=node.environment(), check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
