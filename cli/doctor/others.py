"""Compares the settings and clocks of other gateways with those of this machine."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from userline import __version__
from userline.cli.doctor.clock import compare
from userline.cli.doctor.findings import advice, ok, problem
from userline.settings.fingerprint import SECRETS, Fingerprints
from userline.settings.origins import variable_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings

_PART: Final = "gateways"
_SECONDS: Final = 5.0
_MOST_BYTES: Final = 16_777_216
_METRICS: Final = "/metrics"


class _Unreadable(Exception):
    """The address does not serve the metrics of a gateway. The text is a sentence; ``advice`` says what to do."""

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.advice = advice


class _Told(NamedTuple):
    """What the metrics of a gateway say about it."""

    versions: frozenset[str]
    fingerprints: Mapping[str, frozenset[str]]
    """By the settings' names; several where its workers do not agree."""
    seconds_ahead: float | None


async def examine_others(settings: Settings, addresses: Iterable[str]) -> list[Finding]:
    """Read the metrics of the gateways at these addresses, and compare what they tell with what is set here."""
    own = Fingerprints(settings).now()
    findings: list[Finding] = []
    for address in addresses:
        url = _url_of(address)
        try:
            told = await _read(url)
        except _Unreadable as error:
            findings.append(problem(_PART, str(error), error.advice))
            continue
        findings += _judge(url, told, own)
        if told.seconds_ahead is not None:
            findings.append(compare(url, told.seconds_ahead))
    return findings


def _url_of(address: str) -> str:
    url = address if "://" in address else f"http://{address}"
    return url if url.rstrip("/").endswith(_METRICS) else url.rstrip("/") + _METRICS


async def _read(url: str) -> _Told:
    """Return what a gateway tells. Raises _Unreadable."""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as http,
            _asking(http, url) as (answer, asked, answered),
        ):
            text = await _text_of(answer, url)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
        raise _Unreadable(
            f"{url} cannot be read: {str(error) or type(error).__name__}.",
            "Check that it runs and that this machine can reach it.",
        ) from None
    versions: set[str] = set()
    fingerprints: dict[str, set[str]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "userline_info":
                    versions.add(sample.labels["version"])
                elif sample.name == "userline_setting_info":
                    fingerprints.setdefault(sample.labels["setting"], set()).add(sample.labels["fingerprint"])
    except (ValueError, KeyError):
        versions.clear()
    if not versions:
        raise _Unreadable(f"{url} has no metrics of userline.", "Give the address of a gateway.")
    ahead = _seconds_ahead(answer.headers.get("date"), asked, answered)
    return _Told(frozenset(versions), {name: frozenset(values) for name, values in fingerprints.items()}, ahead)


@asynccontextmanager
async def _asking(http: httpx.AsyncClient, url: str) -> AsyncIterator[tuple[httpx.Response, float, float]]:
    """Yield an answer that begins, when it was asked for, and when it began."""
    asked = time.time()
    async with http.stream("GET", url) as answer:
        yield answer, asked, time.time()


async def _text_of(answer: httpx.Response, url: str) -> str:
    """Return what an answer says, of which no more is read than metrics can be. Raises _Unreadable."""
    address = "Give the address at which its metrics are served: USERLINE_METRICS_ADDRESS, if that is set."
    if answer.status_code != httpx.codes.OK:
        raise _Unreadable(f"{url} cannot be read: it answers {answer.status_code}.", address)
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _Unreadable(f"{url} cannot be read: its answer is larger than {_MOST_BYTES} bytes.", address)
    return body.decode(errors="replace")


def _judge(url: str, told: _Told, own: Mapping[str, str]) -> list[Finding]:
    findings = []
    if told.versions != {__version__}:
        others = ", ".join(sorted(told.versions))
        findings.append(
            advice(
                _PART,
                f"{url} is userline {others}, and this is {__version__}.",
                "This is correct while gateways are upgraded one after the other. Otherwise upgrade all to the same "
                "version.",
            )
        )
    if not told.fingerprints:
        findings.append(
            advice(
                _PART,
                f"{url} has no fingerprints of its settings in its metrics, so nothing can be compared.",
                "Upgrade it, and run this command again.",
            )
        )
        return findings
    if told.fingerprints.get("app_id", {own["app_id"]}) != {own["app_id"]}:
        findings.append(
            problem(
                _PART,
                f"{url} has another USERLINE_APP_ID than this machine: neither receives the changes of the other.",
                "Set the same app id for all gateways of a deployment and restart them, or leave out gateways of other "
                "deployments.",
            )
        )
        return findings
    different = [name for name, values in told.fingerprints.items() if name in own and values != {own[name]}]
    findings += [_difference(url, name, told.fingerprints[name], own[name]) for name in sorted(different)]
    if not different:
        findings.append(
            ok(
                _PART,
                f"{url} has the same values as this machine in all {len(told.fingerprints)} settings that must be the "
                "same.",
            )
        )
    return findings


def _difference(url: str, name: str, theirs: frozenset[str], ours: str) -> Finding:
    if name != SECRETS:
        return problem(
            _PART,
            f"{url} has another {variable_of(name)} than this machine, but all gateways must have the same.",
            "Set the same value, and reload or restart the gateway that is wrong (docs/settings.md says which of both "
            "is needed).",
        )
    if all(set(one.split("+")) & set(ours.split("+")) for one in theirs):
        return advice(
            _PART,
            f"{url} and this machine have one secret in common, but not all.",
            "This is correct while a secret is being replaced. Afterwards all gateways must have the same secrets.",
        )
    return problem(
        _PART,
        f"{url} has another USERLINE_SECRET than this machine: a token that one accepts is refused by the other.",
        "Set the same secrets for all gateways, and send SIGHUP to those whose secrets were wrong.",
    )


def _seconds_ahead(date: str | None, asked: float, answered: float) -> float | None:
    """Return how far the clock behind a ``Date`` header is ahead, which shows whole seconds; None without one."""
    try:
        shown = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return None
    # Servers keep the header for a second or so: what it shows is up to two seconds old.
    if shown > answered:
        return shown - answered
    return min(shown + 2 - asked, 0.0)
