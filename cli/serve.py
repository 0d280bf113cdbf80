"""``userline serve``."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from userline.cli.options import SettingsCommand, load, takes_settings
from userline.execution.trusted import TrustedDocumentsError
from userline.gateway import server
from userline.gateway.auth.keys import OutgoingError
from userline.settings.settings import settings_warnings
from userline.storage.protocol import StoreFormatError
from userline.telemetry.logs import configure_logging
from userline.users.errors import UserlineError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger("userline")


@click.command(cls=SettingsCommand)
@takes_settings
def serve(env_file: Path | None, **flags: Any) -> None:
    """Serve GraphQL over HTTP and WebSocket at /graphql, until SIGINT or SIGTERM.

    A setting comes from its flag, else from its environment variable, else from the .env file, else it is the default.
    "userline settings" shows what is set, and by what.

    \b
    Examples:
      userline serve
      userline serve --store-url sqlite:////var/lib/userline/userline.db
      userline serve --roles roles.json --default-locale pt-BR
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    settings = load(env_file, flags)
    configure_logging(settings.log_format, settings.log_level)
    for warning in settings_warnings(settings):
        logger.warning("%s", warning)

    try:
        server.serve(settings)
    except (UserlineError, StoreFormatError, TrustedDocumentsError, OutgoingError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(_sentence(error)) from error
    except KeyboardInterrupt:
        sys.exit(130)


def _sentence(error: OSError) -> str:
    if error.strerror is None:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
