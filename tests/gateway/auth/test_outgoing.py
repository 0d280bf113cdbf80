"""By which proxy and with which certificates keys are fetched: as the environment says, or a sentence at start-up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.gateway import RunningGateway
from tests.support.tokens import KeyServer, Signer, claims_of

from userline.cli.doctor import command as cli_doctor
from userline.cli.main import userline
from userline.gateway.auth.key_set import KeySet
from userline.gateway.auth.keys import OutgoingError
from userline.gateway.auth.outgoing import Route, is_exempt, proxy_for, route_to
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUEST_METHOD", "SSL_CERT_FILE", "SSL_CERT_DIR")
OF_TLS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
JWKS = "https://login.example.com/keys"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper() in NAMES or name.upper().startswith("USERLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


class Proxy:
    """An HTTP proxy that answers by itself, and remembers what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(("GET", self.path, self.headers.get("proxy-authorization")))
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_CONNECT(self) -> None:
                outer.asked.append(("CONNECT", self.path, self.headers.get("proxy-authorization")))
                self.send_error(502)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def proxy(signer: Signer) -> Iterator[Proxy]:
    made = Proxy(json.dumps({"keys": [signer.jwk]}).encode())
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_named"),
    [
        ("*", "anything", True),
        ("a,*", "anything", True),
        ("", "login.example.com", False),
        (",, ,", "login.example.com", False),
        ("login.example.com", "login.example.com", True),
        ("LOGIN.example.com", "login.example.com", True),
        ("example.com", "login.example.com", True),
        (".example.com", "login.example.com", True),
        ("*.example.com", "login.example.com", True),
        ("ample.com", "login.example.com", False),
        ("login.example.com.", "login.example.com", True),
        ("other.com login.example.com", "login.example.com", True),
        ("other.com, login.example.com:443", "login.example.com", True),
        ("login.example.com:8443", "login.example.com", False),
        ("https://login.example.com", "login.example.com", True),
        ("localhost,[::1]", "::1", True),
        ("localhost,[::1]", "localhost", True),
        ("localhost,[::1]", "login.example.com", False),
        ("[::1]:443", "::1", True),
        ("[::1]:80", "::1", False),
        ("::1", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("fd00::/8", "fd12:3456::1", True),
        ("fd00::/8", "fe80::1", False),
        ("[fd00::]/8", "fd12:3456::1", True),
        ("fd00::/8", "login.example.com", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3/8", "10.200.2.3", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1:443", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.11", False),
        ("::/0", "10.1.2.3", False),
        ("[", "login.example.com", False),
        ("[]", "login.example.com", False),
        (":443", "login.example.com", False),
        ("1.2.3.4/99", "1.2.3.4", False),
    ],
)
def test_what_no_proxy_names(no_proxy: str, host: str, is_named: bool) -> None:
    assert is_exempt(host, 443, no_proxy) == is_named
    assert is_exempt(host, 443, f"elsewhere.org,{no_proxy}") == is_named


@pytest.mark.parametrize(
    ("environ", "url", "found"),
    [
        ({}, JWKS, None),
        ({"HTTPS_PROXY": "http://p:1"}, JWKS, "http://p:1"),
        ({"HTTPS_PROXY": "p:1"}, JWKS, "p:1"),
        ({"https_proxy": "http://q:1", "HTTPS_PROXY": "http://p:1"}, JWKS, "http://q:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, JWKS, None),
        ({"HTTP_PROXY": "http://p:1"}, JWKS, None),
        ({"HTTP_PROXY": "http://p:1"}, "http://login/keys", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://login/keys", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://login/keys", "http://p:1"),
        ({"ALL_PROXY": "http://a:1"}, JWKS, "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p:1"}, JWKS, "http://p:1"),
        ({"ALL_PROXY": "socks5://a:1", "HTTPS_PROXY": "http://p:1"}, JWKS, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "example.com"}, JWKS, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "example.com", "NO_PROXY": "x"}, JWKS, None),
        ({"ALL_PROXY": "socks5://a:1", "NO_PROXY": "login.example.com"}, JWKS, None),
        ({"ALL_PROXY": "nonsense://", "NO_PROXY": "*"}, JWKS, None),
    ],
)
def test_which_proxy(environ: dict[str, str], url: str, found: str | None) -> None:
    proxy = proxy_for(url, environ)
    assert (proxy.value if proxy else None) == found


@pytest.mark.parametrize(
    "value",
    [
        "socks5://proxy:1080",
        "socks5h://proxy",
        "socks4://proxy",
        "ftp://proxy",
        "http://",
        "://",
        "http://proxy:port",
        "http://proxy:99999",
        "http://[::1",
        "http://pro xy",
        "http://user:secret@",
        "socks5://user:secret@proxy:1080",
        "user:secret@proxy:port",
    ],
)
def test_what_is_no_proxy_is_told(value: str) -> None:
    with pytest.raises(OutgoingError) as caught:
        proxy_for(JWKS, {"HTTPS_PROXY": value})
    sentence = str(caught.value)
    assert sentence.startswith("HTTPS_PROXY is '")
    assert sentence.endswith("Correct or unset it, or add the host of USERLINE_JWKS_URL to NO_PROXY.")
    assert "secret" not in sentence


def environments() -> st.SearchStrategy[dict[str, str]]:
    hosts = st.sampled_from(
        ["proxy", "127.0.0.1", "[::1]", "[::1", "::1", "", "user:secret@proxy", "p p", "höst", "%zz", "a\tb"]
    )
    ports = st.sampled_from(["", ":3128", ":0", ":99999", ":x", ":", ":-1"])
    schemes = st.sampled_from(
        ["", "http://", "https://", "HTTP://", "socks5://", "socks5h://", "socks4://", "x://", "//", "http:"]
    )
    proxies = st.one_of(st.builds(lambda *parts: "".join(parts), schemes, hosts, ports), st.text(max_size=20))
    entries = st.one_of(
        st.sampled_from(
            ["*", "localhost", "[::1]", "::1", "fd00::/8", "[fd00::]/8", "10.0.0.0/8", ".example.com", "a:1"]
        ),
        st.text(max_size=10),
    )
    lists = st.lists(entries, max_size=4).map(",".join)
    files = st.sampled_from(["missing/file", ".", "garbage.pem", ""])
    names = st.sampled_from([*NAMES[:3], *(name.lower() for name in NAMES[:3])])
    return st.builds(
        lambda *parts: {name: value for part in parts for name, value in part.items() if "\0" not in value},
        st.dictionaries(names, proxies, max_size=4),
        st.dictionaries(st.sampled_from(["NO_PROXY", "no_proxy"]), lists, max_size=1),
        st.dictionaries(st.sampled_from(OF_TLS), files, max_size=1),
    ).filter(lambda found: all(_can_be_set(value) for value in found.values()))


def _can_be_set(value: str) -> bool:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


URLS = st.sampled_from(
    [
        JWKS,
        "http://127.0.0.1:1/keys",
        "http://[::1]:1/keys",
        "https://[fd00::1]/keys",
        "http://localhost:1/k",
        "https://ex_ample/k",
    ]
)


@given(environments(), URLS)
@settings(max_examples=400, deadline=None)
def test_any_environment_gives_a_way_or_a_sentence(environ: dict[str, str], url: str) -> None:
    Path("garbage.pem").write_text("garbage")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        sentence = ""
        way: Route | None = None
        try:
            way = route_to(url)
        except OutgoingError as error:
            sentence = str(error)
        if sentence:
            assert re.search(r"(PROXY|proxy|SSL_CERT_FILE|SSL_CERT_DIR|SSLKEYLOGFILE) is ['\"]", sentence), sentence
            assert "secret" not in sentence
        else:
            assert way is not None
            assert isinstance(way.client(1.0), httpx.AsyncClient)


@given(environments(), URLS)
@settings(max_examples=40, deadline=None)
def test_doctor_ends_with_findings_in_any_environment(environ: dict[str, str], url: str) -> None:
    Path("garbage.pem").write_text("garbage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_doctor, "configure_logging", lambda *_: None)
        for name, value in environ.items():
            patch.setenv(name, value)
        nowhere = {"HTTP_PROXY": "127.0.0.1:1"} if not environ else {}  # nobody is asked who is not on this machine
        for name, value in nowhere.items():
            patch.setenv(name, value)
        flags = ["--jwks-url", url.replace("login.example.com", "localhost"), "--port", "0"]
        done = CliRunner().invoke(userline, ["doctor", "--json", *flags])
        assert isinstance(done.exception, SystemExit), done.exception
        found = json.loads(done.stdout)["findings"]
        assert [one for one in found if one["part"] == "tokens"]
        assert not [one for one in found if "cannot be looked at" in one["text"]], found
        assert "secret" not in done.stdout


async def test_keys_come_through_the_proxy(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
    for value in (proxy.address, f"http://user:pass%40word@{proxy.address}"):
        monkeypatch.setenv("HTTP_PROXY", value)
        monkeypatch.setenv("NO_PROXY", "localhost,[::1],fd00::/8")
        keys = KeySet("http://login.example.invalid/keys")
        await keys.load()
        assert keys.count == 1
    assert proxy.asked == [
        ("GET", "http://login.example.invalid/keys", None),
        ("GET", "http://login.example.invalid/keys", "Basic dXNlcjpwYXNzQHdvcmQ="),
    ]


async def test_https_is_tunnelled(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://{proxy.address}")
    with pytest.raises(StoreUnavailable):
        await KeySet("https://login.example.invalid/keys").load()
    assert proxy.asked == [("CONNECT", "login.example.invalid:443", None)]


async def test_what_no_proxy_names_is_asked_directly(
    monkeypatch: pytest.MonkeyPatch, proxy: Proxy, key_server: KeyServer
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
    await KeySet(key_server.url).load()
    assert not proxy.asked


async def test_no_credentials_of_netrc_are_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy: Proxy) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login alice password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    seen: list[str | None] = []
    keys = KeySet(f"http://{proxy.address}/keys")
    original = httpx.AsyncClient.send

    async def send(client: httpx.AsyncClient, request: httpx.Request, **more: Any) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return await original(client, request, **more)

    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    await keys.load()
    assert seen == [None]


def served(tmp_path: Path, url: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a gateway that is expected not to start."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    command = [sys.executable, "-m", "userline", "serve", "--port", "0", "--jwks-url", url]
    return subprocess.run(
        command, cwd=tmp_path, env=clean | env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "ALL_PROXY",
            "socks5://user:secret@127.0.0.1:1080",
            "SOCKS needs a package that is not installed: pip install socksio.",
        ),
        ("https_proxy", "ftp://proxy", "Only http, https, socks5, socks5h are supported kinds of proxies."),
        (
            "SSL_CERT_FILE",
            "missing/file",
            "TLS cannot be set up: No such file or directory. SSL_CERT_FILE is 'missing/file'.",
        ),
    ],
)
def test_a_gateway_says_at_start_up_what_it_cannot_honour(
    tmp_path: Path, name: str, value: str, sentence: str, workers: str
) -> None:
    more = {"USERLINE_WORKERS": workers, "USERLINE_BUS_URL": "redis://127.0.0.1:1"}
    done = served(tmp_path, JWKS, **{name: value}, **more)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    "env",
    [
        {"NO_PROXY": "localhost,[::1]"},
        {"NO_PROXY": "localhost,[::1],127.0.0.1", "ALL_PROXY": "socks5://127.0.0.1:1"},
        {"no_proxy": "fd00::/8,::1/128,127.0.0.0/8", "HTTP_PROXY": "http://127.0.0.1:1"},
        {"SSL_CERT_FILE": "missing/file"},
    ],
)
def test_tokens_are_taken_beside_proxies(
    tmp_path: Path, key_server: KeyServer, signer: Signer, env: dict[str, str]
) -> None:
    gateway = RunningGateway(tmp_path, "--jwks-url", key_server.url, env=env)
    try:
        headers = {"authorization": f"Bearer {signer.sign(claims_of('alice'))}"}
        answer = gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
        assert answer.status_code == 200
    finally:
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log


def test_a_proxy_that_is_away_is_no_verdict_on_a_token(tmp_path: Path, key_server: KeyServer, signer: Signer) -> None:
    gateway = RunningGateway(tmp_path, "--jwks-url", key_server.url, env={"HTTP_PROXY": "http://me:secret@127.0.0.1:1"})
    try:
        headers = {"authorization": f"Bearer {signer.sign(claims_of('alice'))}"}
        answer = gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
        assert answer.status_code == 503
    finally:
        assert gateway.stop() == 0
    assert "Traceback" not in gateway.log
    assert "secret" not in gateway.log
