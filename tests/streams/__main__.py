"""Streams for as long as one likes: ``python -m tests.streams --seconds 3600`` (``make streams``).

Each is made of its number; ``--seed 1234 --count 1`` sends that one alone.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.streams.run import running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--milliseconds", type=float, default=50.0, help="what a bystander may have to wait")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, running(Path(directory), asked.milliseconds / 1000) as run:
        run.go(asked.seconds, asked.seed, count=asked.count)
        print(run.summary())
        return 1 if run.problems else 0


if __name__ == "__main__":
    sys.exit(main())
