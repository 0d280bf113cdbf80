"""The settings of who may do what: tokens, and web pages."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Pydantic reads it at run time
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr

from userline.settings.checks import check_header_names, check_jwks_url, check_names, check_origins
from userline.settings.field import Part, setting
from userline.users.viewer import ClientUserSyncing


class Tokens(Part):
    """What tokens are checked with, and what their users and web pages may do."""

    secret: SecretStr | None = setting(
        "Tokens",
        None,
        "The secret that HS256 tokens are checked with. Other users of the machine can see what is given as a flag.",
        reloads=True,
        agrees=True,
    )
    secret_file: Path | None = setting(
        "Tokens",
        None,
        "A file with that secret, or with several, one a line: the first signs, all are accepted.",
        reloads=True,
    )
    second_secret: SecretStr | None = setting(
        "Tokens", None, "One more secret that is accepted, while one is being replaced by another.", reloads=True
    )
    second_secret_file: Path | None = setting(
        "Tokens", None, "A file with that one, or with several, one a line.", reloads=True
    )
    jwks_url: Annotated[str | None, AfterValidator(check_jwks_url)] = setting(
        "Tokens",
        None,
        "Where the public keys are that RS256, ES256 and EdDSA tokens are checked with (a JWKS).",
        agrees=True,
    )
    jwks_seconds: float = setting(
        "Tokens",
        600,
        "Within how long a key that is gone from the JWKS is refused, on live sockets too.",
        ge=1,
        le=86_400,
    )
    jwks_pause_seconds: float = setting(
        "Tokens", 10, "How long to wait at least before keys are fetched again for a token whose key is unknown.", ge=0
    )
    issuer: Annotated[str | None, AfterValidator(check_names)] = setting(
        "Tokens",
        None,
        "What iss may be, exactly: strings separated by commas, or a JSON array. Without it, iss is the app's id.",
        agrees=True,
    )
    audience: Annotated[str | None, AfterValidator(check_names)] = setting(
        "Tokens",
        None,
        "What aud must have one of, written likewise. Without it, aud is left out or has the app's id.",
        agrees=True,
    )
    client_user_syncing: Literal["off", "own", "any"] = setting(
        "Tokens",
        "own",
        "What user tokens may write: nothing, their own user, or every user.",
        reloads=True,
        agrees=True,
    )
    self_deletion: bool = setting(
        "Tokens",
        False,
        "Let user tokens delete their own user; without it, server tokens alone delete users.",
        reloads=True,
        agrees=True,
    )
    cors_origins: Annotated[str | None, AfterValidator(check_origins)] = setting(
        "Tokens",
        None,
        "The origins of web pages and web views, separated by commas, that may use the API, such as "
        "https://app.example.com or capacitor://localhost.",
        reloads=True,
    )
    cors_headers: Annotated[str | None, AfterValidator(check_header_names)] = setting(
        "Tokens",
        None,
        "Headers, separated by commas, that these pages may send beside those of common clients; * = any.",
        reloads=True,
    )

    @property
    def is_open(self) -> bool:
        """Whether no tokens are checked."""
        return self.secret is None and self.jwks_url is None

    @property
    def syncing(self) -> ClientUserSyncing:
        """What user tokens may write."""
        return ClientUserSyncing(self.client_user_syncing)

    @property
    def origins_allowed(self) -> tuple[str, ...]:
        """The origins in ``cors_origins``."""
        return tuple(self.cors_origins.split(",")) if self.cors_origins else ()

    @property
    def headers_allowed(self) -> tuple[str, ...]:
        """The headers in ``cors_headers``."""
        return tuple(self.cors_headers.split(",")) if self.cors_headers else ()
