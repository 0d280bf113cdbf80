"""500 people of nobody's acquaintance: names and titles put together, the same ones each time."""

from __future__ import annotations

import json
import random
from pathlib import Path


def people(count: int) -> list[dict[str, object]]:
    """Return this many users, sorted by their names, as ``userline import`` reads them."""
    parts = json.loads((Path(__file__).parent / "people.json").read_text("utf-8"))
    chosen = random.Random(17)
    names: set[str] = set()
    while len(names) < count:
        names.add(f"{chosen.choice(parts['given'])} {chosen.choice(parts['family'])}")
    return [
        {
            "id": f"person-{number:03}",
            "name": name,
            "custom": {"title": chosen.choice(parts["titles"]), "team": chosen.choice(parts["teams"])},
        }
        for number, name in enumerate(sorted(names), 1)
    ]
