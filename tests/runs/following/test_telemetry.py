"""Traces and metrics reach a collector of OpenTelemetry over HTTP, and nothing is sent or imported without the setting."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from apps.orgs.operators import diagnosis
from apps.runs import execute
from apps.runs.execute import Worker
from apps.telemetry import tracing
from apps.telemetry.exporting import telemetry
from apps.web.metrics import installation
from config.logs import add_trace_ids
from tests.runs.conftest import make_pipeline
from tests.runs.processes import read_run, start_run
from tests.web_server import ROOT, find_free_port, web_server
from tests.world import World


class Collector(ThreadingHTTPServer):
    """A collector that keeps the bodies of requests by their path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.bodies: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def spans(self) -> list[Span]:
        requests = [
            ExportTraceServiceRequest.FromString(body) for body in self.bodies["/v1/traces"]
        ]
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, list[float]]:
        """Return the values of gauges, or the counts of histograms, by name."""
        found: dict[str, list[float]] = {}
        for body in self.bodies["/v1/metrics"]:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                    found[metric.name] = [
                        *(point.as_double or point.as_int for point in metric.gauge.data_points),
                        *(point.count for point in metric.histogram.data_points),
                    ]
        return found


class Receiver(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies[self.path].append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def attributes(span: Span) -> dict[str, str | int]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


def trace_id(run_id: UUID) -> bytes:
    return run_id.bytes


def test_a_request_is_a_span_with_its_route_and_without_what_the_address_contains(
    collector: Collector, acme: World
) -> None:
    secret = uuid4().hex
    with telemetry(collector.url, process="web", version="1"):
        acme.client("viewer").get(f"/api/v1/pipelines/{uuid4()}?token={secret}")

    (span,) = collector.spans()
    assert span.name == "GET /api/v1/pipelines/<uuid:pk>"
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes(span)["http.response.status_code"] == 404
    assert attributes(span)["drover.request_id"]
    assert secret.encode() not in b"".join(collector.bodies["/v1/traces"])
    assert collector.metrics()["http.server.request.duration"] == [1]


def test_the_trace_of_a_run_has_the_id_of_the_run(
    collector: Collector, acme: World, this_worker: Worker
) -> None:
    run_id = start_run(acme, make_pipeline(acme, streams={"generated": "a"}))
    with telemetry(collector.url, process="worker", version="1"):
        execute.work_once(this_worker)

    attempt, stream = sorted(collector.spans(), key=lambda span: span.name)
    assert read_run(acme, run_id)["status"] == "succeeded"
    assert (attempt.name, stream.name) == ("attempt", "stream")
    assert attempt.trace_id == stream.trace_id == trace_id(run_id)
    assert stream.parent_span_id == attempt.span_id
    assert attempt.parent_span_id == b""
    assert attributes(attempt)["drover.records_written"] == 100
    assert attributes(stream)["drover.stream"] == "generated"
    assert attempt.start_time_unix_nano <= stream.start_time_unix_nano < stream.end_time_unix_nano


def test_a_failed_attempt_is_a_failed_span_with_the_class_and_without_the_message(
    collector: Collector, acme: World, this_worker: Worker
) -> None:
    run_id = start_run(acme, make_pipeline(acme, source={"rows": 10, "fail_after": 0}))
    with telemetry(collector.url, process="worker", version="1"):
        execute.work_once(this_worker)

    failure = read_run(acme, run_id)["failure"] or {}
    spans = collector.spans()
    assert {span.status.code for span in spans} == {Status.STATUS_CODE_ERROR}
    assert {span.status.message for span in spans} == {failure["class"]}
    assert failure["message"].encode() not in b"".join(collector.bodies["/v1/traces"])


def test_log_lines_have_the_ids_of_the_span(collector: Collector) -> None:
    run_id = uuid4()
    assert add_trace_ids(None, "info", {}) == {}
    with telemetry(collector.url, process="worker", version="1"):
        with tracing.span("attempt", trace_id=run_id):
            event = add_trace_ids(None, "info", {})
        assert add_trace_ids(None, "info", {}) == {}
    (span,) = collector.spans()
    assert event == {"trace_id": run_id.hex, "span_id": span.span_id.hex()}


@pytest.mark.parametrize(("source", "failure"), [({}, None), ({"fail_after": 0}, "source")])
def test_the_server_logs_the_end_of_an_attempt_with_the_id_of_its_trace(
    collector: Collector,
    acme: World,
    this_worker: Worker,
    caplog: pytest.LogCaptureFixture,
    source: dict[str, int],
    failure: str | None,
) -> None:
    caplog.set_level("INFO", logger="apps.runs.execute")
    run_id = start_run(acme, make_pipeline(acme, source={"rows": 10, **source}))
    with telemetry(collector.url, process="worker", version="1"):
        execute.work_once(this_worker)

    events: list[Any] = [record.msg for record in caplog.records]
    (line,) = (event for event in events if "attempt ended" in str(event))
    assert line["trace_id"] == run_id.hex
    assert (line["run"], line["attempt"], line["failure"]) == (str(run_id), 1, failure)
    message = (read_run(acme, run_id)["failure"] or {}).get("message", "no message")
    assert message not in str(line)


def test_workers_send_the_metrics_of_the_installation(collector: Collector, acme: World) -> None:
    start_run(acme, make_pipeline(acme))
    with telemetry(
        collector.url,
        process="worker",
        version="1",
        gauges=installation.MEANINGS,
        read=installation.read_alone,
    ):
        pass
    assert sorted(collector.metrics()["drover_runs"]) == [0, 1]  # running, pending
    assert collector.metrics()["drover_organizations"][0] >= 1


def test_the_doctor_says_whether_the_collector_accepts_traces(
    collector: Collector, settings: Any
) -> None:
    settings.OTLP_URL = collector.url
    assert diagnosis.check_telemetry().ok


def test_a_collector_that_is_away_keeps_nothing_from_working(
    acme: World, this_worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    away = f"http://127.0.0.1:{find_free_port()}"
    with telemetry(away, process="worker", version="1"):
        execute.work_once(this_worker)
    assert read_run(acme, run_id)["status"] == "succeeded"
    assert any("opentelemetry" in record.name for record in caplog.records)


def test_without_the_setting_nothing_is_imported() -> None:
    code = (
        "import sys, config.asgi; from apps.telemetry import exporting\n"
        "with exporting.telemetry('', process='web', version='1'): pass\n"
        "sys.exit('opentelemetry.sdk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_web_process_that_is_stopped_sends_the_spans_of_its_last_requests(
    collector: Collector, committed_db: None
) -> None:
    with web_server(DROVER_OTLP_URL=collector.url) as url:
        httpx.get(f"{url}/api/v1/runs")
    assert "GET /api/v1/runs" in {span.name for span in collector.spans()}
