"""``userline serve``."""

from __future__ import annotations

import logging
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from userline.cli.options import SettingsCommand, given, takes_settings
from userline.execution.trusted import TrustedDocumentsError
from userline.gateway import server
from userline.gateway.auth.keys import OutgoingError
from userline.server.hang_ups import HangUps
from userline.server.workers import UnendingWorkersError
from userline.settings.origins import flag_of
from userline.settings.problems import SettingsError
from userline.settings.reloading import reader
from userline.settings.settings import log_format_of, settings_warnings
from userline.storage.protocol import StoreFormatError
from userline.telemetry.logs import configure_logging
from userline.users.errors import UserlineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from userline.settings.settings import Settings

logger = logging.getLogger("userline")

_JSON: Final = "json"
_BAD_SETTINGS: Final = 2
"""The exit code of who was started with settings or flags that are not valid."""

_SENTENCES: Final = (UserlineError, StoreFormatError, TrustedDocumentsError, OutgoingError, UnendingWorkersError)
"""What the gateway ends of, and says so in a sentence."""


class _ServeCommand(SettingsCommand):
    """A command whose usage errors are log lines if the log is to be JSON."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the flags."""
        wants_json = _asks_for_json(args)
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if wants_json:
                _log_and_end([error.format_message()], _BAD_SETTINGS)
            raise


@click.command(cls=_ServeCommand)
@takes_settings
def serve(env_file: Path | None, **flags: Any) -> None:
    """Serve GraphQL over HTTP and WebSocket at /graphql, until SIGINT or SIGTERM. SIGHUP reads the settings again.

    A setting comes from its flag, else from its environment variable, else from the .env file, else it is the default.
    "userline settings" shows what is set, by what, and what is reloaded.

    \b
    Examples:
      userline serve
      userline serve --store-url sqlite:////var/lib/userline/userline.db
      userline serve --roles roles.json --default-locale pt-BR
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    hang_ups = HangUps.awaited()
    read = reader(given(flags), env_file)
    try:
        settings = read()
    except SettingsError as error:
        if error.log_format == _JSON:
            _log_and_end(error.problems, _BAD_SETTINGS)
        click.echo(error, err=True)
        sys.exit(_BAD_SETTINGS)
    configure_logging(settings.log_format, settings.log_level)
    for warning in settings_warnings(settings):
        logger.warning("%s", warning)

    try:
        server.serve(settings, read, hang_ups)
    except (*_SENTENCES, click.ClickException) as error:
        _end(settings, str(error))
    except OSError as error:
        _end(settings, _sentence(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        if settings.log_format != _JSON:
            raise
        logger.critical("The gateway stopped unexpectedly.", exc_info=True)
        sys.exit(1)
    finally:
        HangUps.ignore()


def _end(settings: Settings, message: str) -> NoReturn:
    """Say why the gateway ends, and end with exit code 1."""
    if settings.log_format == _JSON:
        logger.critical("%s", message)
        sys.exit(1)
    raise click.ClickException(message)


def _log_and_end(problems: Iterable[str], code: int) -> NoReturn:
    """Say what is wrong as lines of JSON, and end."""
    configure_logging(_JSON, "info")
    for problem in problems:
        logger.critical("%s", problem)
    sys.exit(code)


def _asks_for_json(args: list[str]) -> bool:
    """Whether arguments that may be mistaken, or else the environment, ask for a log in JSON."""
    flag = flag_of("log_format")
    named = [following for argument, following in pairwise(args) if argument == flag]
    named += [argument.partition("=")[2] for argument in args if argument.startswith(f"{flag}=")]
    return log_format_of({"log_format": named[-1]} if named else {}) == _JSON


def _sentence(error: OSError) -> str:
    if error.strerror is None:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
