"""Which media type a response has.

Sources: RFC 9110, section 12.5.1, and https://graphql.github.io/graphql-over-http/draft/#sec-Accept
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from userline.gateway.header_fields import members, with_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"

API_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""What every answer of the API says, whatever its media type."""


_WEIGHT: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)


class Range(NamedTuple):
    """A media range of an Accept header."""

    name: str
    weight: float
    parameters: dict[str, str]
    """The ones beside ``q``, in small letters."""


def parse_accept(header: str) -> list[Range]:
    """Return the media ranges of an Accept header."""
    ranges = []
    for member in members(header):
        name, parameters = with_parameters(member)
        given = {key: value.lower() for key, value in parameters}
        weight = given.pop("q", "1")
        ranges.append(Range(name, min(float(weight), 1.0) if _WEIGHT.fullmatch(weight) else 0.0, given))
    return ranges


def choose(header: str | None, offered: Sequence[str]) -> str | None:
    """Return the offered media type that the client likes best, or None if it accepts none of them.

    ``offered`` is in our order of preference, which decides where the client does not. No header means anything. Of
    types that are equally welcome, one that is named beats one that is covered by a wildcard.
    """
    if header is None or not header.strip():
        return offered[0]
    ranges = parse_accept(header)
    best: tuple[float, int] | None = None
    chosen = None
    for media_type in offered:
        score = _score(media_type, ranges)
        if score[0] > 0 and (best is None or score > best):
            best, chosen = score, media_type
    return chosen


def _score(media_type: str, ranges: list[Range]) -> tuple[float, int]:
    """Return the weight that the most specific matching range gives, and how specific that range is."""
    main = media_type.partition("/")[0]
    for specificity, pattern in ((2, media_type), (1, f"{main}/*"), (0, "*/*")):
        weights = [each.weight for each in ranges if each.name == pattern]
        if weights:
            return max(weights), specificity
    return 0.0, 0
