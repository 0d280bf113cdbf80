"""Would a good token be let in?"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from jwt.warnings import InsecureKeyLengthWarning

from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.keys import KeySet
from userline.gateway.auth.minting import mint
from userline.gateway.doctor.findings import advice, ok, problem
from userline.gateway.settings_tokens import MIN_SECRET_BYTES
from userline.users.errors import StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from userline.gateway.doctor.findings import Finding
    from userline.gateway.settings import Settings

_PART: Final = "tokens"


async def examine_tokens(settings: Settings) -> list[Finding]:
    """Check a token of our own, or fetch the keys; settings have been checked before."""
    if settings.secret is not None:
        return await _examine_secret(settings, settings.secret.get_secret_value())
    if settings.jwks_url is not None:
        return [await _examine_key_set(settings.jwks_url)]
    return [
        advice(
            _PART,
            "None are checked: whoever reaches the gateway may read and write every user.",
            "For anything but development, set USERLINE_SECRET or USERLINE_JWKS_URL, and USERLINE_ENV=production.",
        )
    ]


async def _examine_secret(settings: Settings, secret: str) -> list[Finding]:
    try:
        with warnings.catch_warnings(action="ignore", category=InsecureKeyLengthWarning):  # told of below
            token = mint(secret, settings.app_id, user_id="doctor", seconds=60)
            await Authenticator.of(settings).viewer(token)
    except Unauthenticated as error:
        return [problem(_PART, f"A token signed with USERLINE_SECRET is refused: {error}", "Set another secret.")]
    findings = [ok(_PART, f"A token signed with USERLINE_SECRET for {settings.app_id} is accepted.")]
    if len(secret.encode()) < MIN_SECRET_BYTES:
        findings.append(
            advice(
                _PART,
                f"The secret has less than {MIN_SECRET_BYTES} bytes, and in production it is refused.",
                "Make one with: openssl rand -base64 48",
            )
        )
    return findings


async def _examine_key_set(url: str) -> Finding:
    keys = KeySet(url)
    try:
        algorithms = await keys.load()
    except StoreUnavailable:
        return problem(
            _PART,
            "The keys at USERLINE_JWKS_URL cannot be fetched, so every token is refused.",
            "The log above says why. Check the URL, and that this machine may reach it.",
        )
    finally:
        await keys.close()
    if not algorithms:
        return problem(
            _PART,
            "There is no key at USERLINE_JWKS_URL that tokens can be checked with.",
            "It must have public signing keys for RS256 (2048 bits or more), ES256 or EdDSA.",
        )
    return ok(_PART, f"There are keys for {', '.join(sorted(algorithms))} at USERLINE_JWKS_URL.")
