"""The names of a deployment's channels, and the envelope of every message.

A server may be shared, and Redis's numbered databases keep no publications apart. So each channel has the deployment's
prefix and the app's id in its name, and each message has the app's id.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

import orjson

DEFAULT_PREFIX: Final = "userline"

_PREFIX: Final = re.compile(r"[A-Za-z0-9._~/-](?:[A-Za-z0-9._~:/-]{0,98}[A-Za-z0-9._~/-])?")


class BusMessageError(ValueError):
    """A message on the bus that is not valid."""


class ForeignMessageError(Exception):
    """A message of another app. The text is that app's id."""


def check_prefix(value: str) -> None:
    """Raise ValueError, with a sentence that says what it must be, if channels cannot begin with ``value``."""
    if not _PREFIX.fullmatch(value):
        raise ValueError(
            "It must be 1 to 100 letters, digits and - . _ ~ : /, and neither begin nor end with a colon. An example: "
            "production:userline."
        )


def channel_of(prefix: str, app_id: str, topic: str) -> str:
    """Return the name of a deployment's channel: ``PREFIX:APP:TOPIC``.

    No two deployments share a name, whatever their prefixes and app ids are: an app id and a topic have no colon in
    their names, so that the last two colons part it. Nothing that Redis takes for a pattern is left in any of them.
    """
    return f"{_safe(prefix, ':/')}:{_safe(app_id)}:{_safe(topic)}"


def encode_message(app_id: str, body: object) -> bytes:
    """Return a message of an app: ``{"app": "…", "body": …}``."""
    return orjson.dumps({"app": app_id, "body": body})


def decode_message(app_id: str, message: bytes | str) -> object:
    """Return the body of a message of this app. Raises BusMessageError and ForeignMessageError."""
    try:
        said = orjson.loads(message)
        sender, body = said["app"], said["body"]
    except (ValueError, TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if type(sender) is not str:
        raise BusMessageError("The message does not say which app it belongs to.")
    if sender != app_id:
        raise ForeignMessageError(sender)
    return body


def _safe(text: str, others: str = "") -> str:
    return quote(text, safe=others, errors="surrogatepass")
