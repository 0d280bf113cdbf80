"""Options of a MongoDB URL that would fail later: refused at the start, with what to install or write."""

from __future__ import annotations

import math
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_SECONDS: Final = 60.0

# The least that each time may be, in seconds.
_TIMES: Final = {
    "timeoutMS": 0.1,
    "serverSelectionTimeoutMS": 0.1,
    "connectTimeoutMS": 0.1,
    "socketTimeoutMS": 0.1,
    "waitQueueTimeoutMS": 0.1,
    "heartbeatFrequencyMS": 0.5,
}

# What needs a package: the modules of which one has to be there, the package, and the extra of userline that has it.
_MECHANISMS: Final = {
    "MONGODB-AWS": (("pymongo_auth_aws",), "pymongo-auth-aws", "aws"),
    "GSSAPI": (("kerberos", "winkerberos"), "pykerberos (on Windows winkerberos)", "gssapi"),
}
_COMPRESSORS: Final = {
    "snappy": (("snappy",), "python-snappy", "snappy"),
    "zstd": (("compression.zstd", "backports.zstd"), "backports.zstd", "zstd"),
}
_COMPRESSORS_OPTION: Final = re.compile(r"(?<=[?&;])compressors=([^&;]*)", re.IGNORECASE)


def check_compressors(url: str) -> None:
    """Raise ValueError if the URL asks for a compression whose package is not installed."""
    for names in _COMPRESSORS_OPTION.findall(url):
        for name in names.split(","):
            if name in _COMPRESSORS:
                _check_installed(f"compressors={name}", *_COMPRESSORS[name])


def check_options(options: Mapping[str, Any], *, is_srv: bool) -> None:
    """Raise ValueError for a time that is absurd, and for a log-in that cannot work like this.

    ``options`` are PyMongo's, by their lower-case names, times in seconds. mongodb+srv is by TLS unless it says not.
    """
    for name, least in _TIMES.items():
        if name.lower() in options:
            _check_time(name, options[name.lower()], least)
    least, most = options.get("minpoolsize") or 0, options.get("maxpoolsize") or math.inf
    if least > most:
        raise ValueError(
            f"The URL of a MongoDB user store cannot have minPoolSize={least} and maxPoolSize={most}: the first is the "
            "number of connections that are kept open, the second the highest number of connections."
        )
    mechanism = options.get("authmechanism")
    if mechanism in _MECHANISMS:
        _check_installed(f"authMechanism={mechanism}", *_MECHANISMS[mechanism])
    if mechanism == "MONGODB-X509" and not (options.get("tls", is_srv) and options.get("tlscertificatekeyfile")):
        raise ValueError(
            "authMechanism=MONGODB-X509 in the URL of the MongoDB user store needs a client certificate: add tls=true "
            "and "
            "tlsCertificateKeyFile=, with the path of a file that has the certificate and its key."
        )
    properties = options.get("authmechanismproperties") or {}
    if mechanism == "MONGODB-OIDC" and not properties.get("ENVIRONMENT"):
        raise ValueError(
            "authMechanism=MONGODB-OIDC in the URL of the MongoDB user store must name the source of tokens: add "
            "authMechanismProperties=ENVIRONMENT:azure, gcp or k8s, with the other properties that this environment "
            "needs."
        )


def _check_time(name: str, seconds: float | None, least: float) -> None:
    if not seconds:
        raise ValueError(f"The URL of a MongoDB user store cannot have {name}=0: every call needs a time limit.")
    if not least <= seconds <= _LONGEST_SECONDS:
        raise ValueError(
            f"The URL of a MongoDB user store cannot have {name}={seconds * 1000:.0f}: write {least * 1000:.0f} to "
            f"{_LONGEST_SECONDS * 1000:.0f} (milliseconds), or leave it out."
        )


def _check_installed(option: str, modules: tuple[str, ...], package: str, extra: str) -> None:
    if not any(map(_is_there, modules)):
        raise ValueError(
            f"{option} in the URL of the MongoDB user store needs the package {package}, which is not installed: "
            f'install it beside userline, or userline with its extra "{extra}".'
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False
