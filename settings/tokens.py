"""The settings of tokens, permissions and web pages."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Pydantic reads it at run time
from typing import Annotated, Literal

from pydantic import AfterValidator, SecretStr

from userline.settings.checks import check_header_names, check_jwks_url, check_names, check_origins
from userline.settings.field import SettingsPart, setting
from userline.users.viewer import ClientUserSyncing


class Tokens(SettingsPart):
    """How tokens are verified, and what users and web pages may do."""

    secret: SecretStr | None = setting(
        "Tokens",
        None,
        "The secret that HS256 tokens are verified with. Do not give it as a flag: other users of the machine can see "
        "flags.",
        reloads=True,
        agrees=True,
    )
    secret_file: Path | None = setting(
        "Tokens",
        None,
        "A file with this secret, or with several secrets, one per line. The first one signs; all are accepted.",
        reloads=True,
    )
    second_secret: SecretStr | None = setting(
        "Tokens", None, "A second secret that is accepted, for the time while a secret is being replaced.", reloads=True
    )
    second_secret_file: Path | None = setting(
        "Tokens", None, "A file with the second secret, or with several secrets, one per line.", reloads=True
    )
    jwks_url: Annotated[str | None, AfterValidator(check_jwks_url)] = setting(
        "Tokens",
        None,
        "The URL of the public keys (a JWKS) that RS256, ES256 and EdDSA tokens are verified with.",
        agrees=True,
    )
    jwks_seconds: float = setting(
        "Tokens",
        600,
        "After how long at most a key that was removed from the JWKS is refused, on open sockets too.",
        ge=1,
        le=86_400,
    )
    jwks_pause_seconds: float = setting(
        "Tokens",
        10,
        "The shortest time between two fetches of the keys that are caused by tokens with an unknown key.",
        ge=0,
    )
    issuer: Annotated[str | None, AfterValidator(check_names)] = setting(
        "Tokens",
        None,
        "The accepted values of iss: strings separated by commas, or a JSON array. If not set, iss must be the app's "
        "id.",
        agrees=True,
    )
    audience: Annotated[str | None, AfterValidator(check_names)] = setting(
        "Tokens",
        None,
        "Values of which aud must have one, in the same form. If not set, aud must be absent or have the app's id.",
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
        "Allow user tokens to delete their own user. If false, only server tokens delete users.",
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
        "Headers, separated by commas, that these pages may send in addition to those of common clients; * = any.",
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
