"""How the gateway connects to the JWKS: the proxy and the certificates that the environment names.

``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` are read as curl reads them, in lower case first.
Certificates come from ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` if one is set. What is there and cannot be used is told
when the gateway starts. Nothing else of the environment is looked at, and no credentials of ``.netrc`` are sent.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from userline.gateway.auth.keys import OutgoingError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
    from ssl import SSLContext

_PROXIES: Final = ("http", "https", "socks5", "socks5h")
_OF_TLS: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "OPENSSL_CONF")
_PORTS: Final = {"http": 80, "https": 443}
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*):(?P<port>[0-9]+)")
_PASSWORD = re.compile(r"(?:[^/@:]*:)?[^/@]*@")


class EnvironmentVariable(NamedTuple):
    """A variable of the environment that has a value."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} is {without_password(self.value)!r}."


class Route(NamedTuple):
    """How a URL is reached."""

    certificates: SSLContext | bool
    proxy: httpx.Proxy | None

    def client(self, seconds: float) -> httpx.AsyncClient:
        """Return a client that goes this way, and waits so long for anything."""
        return httpx.AsyncClient(
            timeout=seconds,
            follow_redirects=False,
            verify=self.certificates,
            proxy=self.proxy,
            trust_env=False,  # it raises for half of what NO_PROXY may have: what is honoured has been read here
        )


def route_to(url: str) -> Route:
    """Return how to reach a URL. Raises OutgoingError. Reads files, so it is for when a gateway starts."""
    found = proxy_for(url, os.environ)
    through_tls = found is not None and found.value.lower().startswith("https:")
    context = _certificates() if through_tls or url.lower().startswith("https:") else None
    certificates = context or False
    if found is None:
        return Route(certificates, None)
    try:
        proxy = httpx.Proxy(_with_scheme(found.value), ssl_context=context if through_tls else None)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise OutgoingError(
            f"{found} That is not the URL of a proxy: {without_password(str(error))}. {_ADVICE}"
        ) from None
    return Route(certificates, proxy)


def proxy_for(url: str, environ: Mapping[str, str]) -> EnvironmentVariable | None:
    """Return the variable with the proxy that a URL is fetched through, or None. Raises OutgoingError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme, 0)
    found = _variable(f"{parts.scheme}_proxy", environ) or _variable("all_proxy", environ)
    if found is None or is_exempt(host, port, _value("no_proxy", environ)):
        return None
    try:
        proxy = urlsplit(_with_scheme(found.value))
        is_sound = bool(proxy.hostname) and (proxy.port is None or proxy.port > 0)
    except ValueError:
        is_sound, proxy = False, urlsplit("")
    if not is_sound or not found.value.isprintable() or " " in found.value:
        raise OutgoingError(f"{found} That is not the URL of a proxy, such as http://proxy.example.com:3128. {_ADVICE}")
    if proxy.scheme not in _PROXIES:
        raise OutgoingError(f"{found} Only {', '.join(_PROXIES)} are supported kinds of proxies. {_ADVICE}")
    if proxy.scheme.startswith("socks") and not find_spec("socksio"):
        raise OutgoingError(f"{found} SOCKS needs a package that is not installed: pip install socksio. {_ADVICE}")
    return found


_ADVICE: Final = "Correct or unset it, or add the host of USERLINE_JWKS_URL to NO_PROXY."


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` names a host: ``*``, names, which stand for what is below them too, addresses, networks."""
    host = host.lower()
    return any(_matches(entry, host, port) for entry in re.split(r"[\s,]+", no_proxy.lower()) if entry)


def _matches(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    entry = entry.rpartition("://")[2]
    split = _HOST_AND_PORT.fullmatch(entry)
    if split is not None:
        if split["port"].lstrip("0") != str(port):
            return False
        entry = split["host"]
    network, address = _network_of(re.sub(r"[\[\]]", "", entry)), _address_of(host)
    if network is not None and address is not None:
        return address in network
    name = entry.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def without_password(text: str) -> str:
    """Return a text without what stands before the @ of the URLs in it."""
    return _PASSWORD.sub("***@", text)


def _certificates() -> SSLContext:
    try:
        return httpx.create_ssl_context()
    except (OSError, ValueError) as error:
        given = " ".join(str(EnvironmentVariable(name, os.environ[name])) for name in _OF_TLS if os.environ.get(name))
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OutgoingError(f"TLS cannot be set up: {reason}. {given} Correct or unset what is wrong.") from None


def _variable(name: str, environ: Mapping[str, str]) -> EnvironmentVariable | None:
    """Return a variable under its name in lower case if it is there, even empty, else in upper case."""
    spelt = name if name in environ else name.upper()
    if spelt == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
        return None  # in a CGI program that is a header of the request
    value = environ.get(spelt, "").strip()
    return EnvironmentVariable(spelt, value) if value else None


def _value(name: str, environ: Mapping[str, str]) -> str:
    found = _variable(name, environ)
    return found.value if found else ""


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _network_of(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _address_of(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
