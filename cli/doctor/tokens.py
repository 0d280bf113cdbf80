"""Checks whether a valid token would be accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.cli.doctor.findings import advice, ok, problem
from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.key_set import KeySet
from userline.gateway.auth.keys import OutgoingError
from userline.gateway.auth.minting import mint_for
from userline.gateway.auth.tokens import Terms
from userline.settings.settings import weak_secrets
from userline.users.errors import StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from userline.cli.doctor.findings import Finding
    from userline.settings.settings import Settings

_PART: Final = "tokens"


async def examine_tokens(settings: Settings) -> list[Finding]:
    """Check a token of our own, or fetch the keys; settings have been checked before."""
    if settings.secrets:
        return await _examine_secrets(settings)
    if settings.jwks_url is not None:
        return [await _examine_key_set(settings)]
    return [
        advice(
            _PART,
            "Tokens are not checked: everybody who can reach the gateway may read and write every user.",
            "For anything but development, set USERLINE_SECRET or USERLINE_JWKS_URL, and USERLINE_ENV=production.",
        )
    ]


async def _examine_secrets(settings: Settings) -> list[Finding]:
    try:
        await Authenticator.of(settings).viewer(mint_for(settings, user_id="doctor", seconds=60))
    except Unauthenticated as error:
        return [problem(_PART, f"A token signed with USERLINE_SECRET is refused: {error}", "Set another secret.")]
    issuer = Terms.set_by(settings).issuers[0]
    findings = [ok(_PART, f"A token signed with USERLINE_SECRET for {issuer} is accepted.")]
    if len(settings.secrets) > 1:
        findings.append(
            advice(
                _PART,
                f"{len(settings.secrets)} secrets are accepted.",
                "When the last token that was signed with an old secret has expired, remove the old secret.",
            )
        )
    findings += [advice(_PART, warning, "Set another secret.") for warning in weak_secrets(settings)]
    return findings


async def _examine_key_set(settings: Settings) -> Finding:
    try:
        keys = KeySet(settings.jwks_url or "")
    except OutgoingError as error:
        text, _, what_to_do = str(error).rpartition(". ")
        return problem(_PART, f"{text}.", what_to_do)
    try:
        await keys.load()
    except StoreUnavailable:
        return problem(
            _PART,
            "The keys at USERLINE_JWKS_URL cannot be fetched, so every token is refused.",
            "The log above says why. Check the URL, whether this machine can reach it, and the proxy variables "
            "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.",
        )
    finally:
        await keys.close()
    if not keys.algorithms_there:
        return problem(
            _PART,
            "There is no key at USERLINE_JWKS_URL that tokens can be checked with.",
            "It must have public signing keys for RS256 (2048 bits or more), ES256 or EdDSA.",
        )
    names = ", ".join(sorted(keys.algorithms_there))
    return ok(
        _PART,
        f"There are keys for {names} at USERLINE_JWKS_URL. A key that is removed there is refused within "
        f"{settings.jwks_seconds:g} s.",
    )
