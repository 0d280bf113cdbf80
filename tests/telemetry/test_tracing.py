"""Traces: what a gateway sends to an OpenTelemetry collector, and what it costs where it is off."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.support.gateway import RunningGateway

from userline.settings import together
from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVER = 2
"""The kind of the span of a request that was served."""

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """Takes what is exported. ``spans`` has all of it, in order of arrival."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    raise AssertionError("nobody asked for gzip")
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        outer.spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def wait_for(self, name: str, trace: str) -> Span:
        """Return the span with this name in a trace."""
        deadline = time.monotonic() + 20
        while True:
            for span in self.spans:
                if span.name == name and span.trace_id.hex() == trace:
                    return span
            assert time.monotonic() < deadline, [(span.name, span.trace_id.hex()) for span in self.spans]
            time.sleep(0.05)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    gateway = RunningGateway(tmp_path_factory.mktemp("traced"), "--tracing", env=env)
    yield gateway
    assert gateway.stop() == 0, gateway.log
    assert "Traceback" not in gateway.log, gateway.log


def post(gateway: RunningGateway, query: str, trace: str = TRACE) -> httpx.Response:
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    return gateway.http.post("/graphql", json={"query": query}, headers=headers)


def test_a_read_is_traced_from_the_request_to_the_store(traced: RunningGateway, collector: Collector) -> None:
    answer = post(traced, 'query Profile { user(id: "nobody") { id } }')
    assert answer.json() == {"data": {"user": None}}
    store = collector.wait_for("store get_many", TRACE)
    operation = collector.wait_for("query Profile", TRACE)
    request = collector.wait_for("POST /graphql", TRACE)
    assert request.parent_span_id.hex() == PARENT
    assert operation.parent_span_id == request.span_id
    assert store.parent_span_id == operation.span_id
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{request.span_id.hex()}-01"
    attributes = {item.key: item.value for item in (*request.attributes, *operation.attributes, *store.attributes)}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["graphql.operation.name"].string_value == "Profile"
    assert attributes["userline.ids"].int_value == 1
    assert "nobody" not in str([request, operation, store])


def test_a_write_is_traced_too(traced: RunningGateway, collector: Collector) -> None:
    trace = "1" * 32
    post(traced, 'mutation Rename { setUser(id: "hush", input: {name: "H"}) { changed } }', trace)
    operation = collector.wait_for("mutation Rename", trace)
    assert collector.wait_for("store patch", trace).parent_span_id == operation.span_id
    assert "hush" not in str(collector.spans)


def test_a_stream_is_traced_until_its_end(traced: RunningGateway, collector: Collector) -> None:
    trace = "3" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01", "Accept": "text/event-stream"}
    body = {"query": 'subscription Watch { userChanged(id: "streamed") { name } }'}
    with traced.http.stream("POST", "/graphql", json=body, headers=headers) as response:
        assert response.headers["traceresponse"].startswith(f"00-{trace}-")
        lines = response.iter_lines()
        assert any(line.startswith("data: {") for line in lines)
        traced.set_user("streamed", name="Changed")
        assert any("Changed" in line for line in lines)
        assert not [span for span in collector.spans if span.trace_id.hex() == trace and span.kind == SERVER]
    request = collector.wait_for("POST /graphql", trace)
    assert request.parent_span_id.hex() == PARENT
    assert collector.wait_for("store get_many", trace).parent_span_id == request.span_id
    assert "streamed" not in str(collector.spans)


def test_a_read_for_several_requests_is_linked_to_all_of_them(traced: RunningGateway, collector: Collector) -> None:
    trace = "2" * 32
    headers = {"traceparent": f"00-{trace}-{PARENT}-01"}
    batch = [{"query": f'query Q{number} {{ user(id: "linked{number}") {{ id }} }}'} for number in range(3)]
    traced.http.post("/graphql", json=batch, headers=headers)
    store = collector.wait_for("store get_many", trace)
    operations = {collector.wait_for(f"query Q{number}", trace).span_id for number in range(3)}
    assert {store.parent_span_id, *(link.span_id for link in store.links)} == operations
    assert len([span for span in collector.spans if span.trace_id.hex() == trace and "store" in span.name]) == 1


def test_a_request_that_comes_without_a_trace_begins_one(traced: RunningGateway, collector: Collector) -> None:
    answer = traced.http.get("/v1/userline/users/secret-id")
    assert answer.status_code == 404
    _, trace, span, flags = answer.headers["traceresponse"].split("-")
    request = collector.wait_for("GET /v1", trace)
    assert (request.span_id.hex(), request.parent_span_id, int(flags, 16) & 1) == (span, b"", 1)
    assert "secret-id" not in str(collector.spans)


def test_without_tracing_nothing_of_it_is_imported(gateway: RunningGateway) -> None:
    # Not opentelemetry itself, which redis-py imports where it finds it.
    code = "import sys, userline.gateway.server; print([name for name in sys.modules if '.tracing.' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "['userline.telemetry.tracing.setup']\n"
    assert "traceresponse" not in gateway.http.get("/healthz").headers


def test_tracing_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "tracing_is_installed", lambda: False)
    with pytest.raises(SettingsError, match=r"pip install 'userline\[tracing\]'"):
        load_settings({"tracing": True})
    assert load_settings({}).tracing is False
