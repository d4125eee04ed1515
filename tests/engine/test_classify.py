"""Classify exceptions of real HTTP libraries, databases, files and the engine."""

from __future__ import annotations

import ast
import errno
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import httpx
import polars as pl
import psycopg
import pytest
import requests

from apps.engine import sandbox
from apps.engine.contract import Failed
from apps.engine.failures import LACKS_PERMISSION, NO_SUCH, FailureClass, RateLimitError
from apps.engine.reporting import classify as rules
from apps.engine.reporting.classify import classify, parse_retry_after
from apps.engine.reporting.redaction import Redactor
from local.database.postgres import EmbeddedPostgres


class StatusHandler(BaseHTTPRequestHandler):
    """Respond with the status that is in the path."""

    def do_GET(self) -> None:
        html = self.path.endswith("?html")
        body = b"<html>" if html else b'{"error": "because of token-123456"}'
        self.send_response(int(self.path.strip("/").split("?")[0]))
        self.send_header("Retry-After", "7")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Do not log."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), StatusHandler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()


def classify_error(error: BaseException, side: str = "source") -> Failed:
    return classify(error, side=side, redactor=Redactor(["token-123456"]))  # type: ignore[arg-type]


STATUSES = [
    (401, FailureClass.AUTHENTICATION, False),
    (403, FailureClass.AUTHENTICATION, False),
    (404, FailureClass.SOURCE, False),
    (422, FailureClass.SOURCE, False),
    (429, FailureClass.RATE_LIMIT, True),
    (500, FailureClass.SOURCE, True),
    (503, FailureClass.SOURCE, True),
]


@pytest.mark.parametrize(("status", "failure_class", "retryable"), STATUSES)
@pytest.mark.parametrize("library", [requests, httpx])
def test_an_http_status_decides_the_failure_class_and_is_evidence(
    server: str, library: object, status: int, failure_class: FailureClass, retryable: bool
) -> None:
    response = library.get(f"{server}/{status}?api_key=token-123456")  # type: ignore[attr-defined]
    with pytest.raises(Exception, match=str(status)) as raised:
        response.raise_for_status()
    failed = classify_error(raised.value)
    assert (failed.failure_class, failed.retryable) == (failure_class, retryable)
    assert failed.retry_after == 7
    assert any(line.startswith(str(status)) for line in failed.evidence)
    assert any("because of •••" in line for line in failed.evidence)
    assert "token-123456" not in str(failed)


def test_a_status_wrapped_in_another_exception_is_found(server: str) -> None:
    with pytest.raises(requests.HTTPError) as raised:
        requests.get(f"{server}/401", timeout=5).raise_for_status()
    wrapper = RuntimeError("could not list the customers")
    wrapper.__cause__ = raised.value
    assert classify_error(wrapper).failure_class is FailureClass.AUTHENTICATION


def test_repeated_429_of_a_retrying_session_is_a_rate_limit(server: str) -> None:
    session = requests.Session()
    retry = requests.adapters.Retry(
        total=1, status_forcelist=[429], respect_retry_after_header=False
    )
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    with pytest.raises(requests.exceptions.RetryError) as raised:
        session.get(f"{server}/429", timeout=5)
    assert classify_error(raised.value).failure_class is FailureClass.RATE_LIMIT


def test_an_unreachable_server_is_a_retryable_source_failure() -> None:
    with pytest.raises(requests.ConnectionError) as raised:
        requests.get("http://127.0.0.1:1/", timeout=2)
    failed = classify_error(raised.value)
    assert (failed.failure_class, failed.retryable) == (FailureClass.SOURCE, True)
    assert "could not be reached" in failed.message


def test_an_invalid_address_is_a_configuration_failure() -> None:
    with pytest.raises(requests.exceptions.MissingSchema) as raised:
        requests.get("example.com/customers", timeout=2)
    assert classify_error(raised.value).failure_class is FailureClass.CONFIGURATION


def test_a_response_that_is_not_json_is_a_retryable_source_failure(server: str) -> None:
    response = requests.get(f"{server}/200?html", timeout=5)
    with pytest.raises(requests.exceptions.JSONDecodeError) as raised:
        response.json()
    failed = classify_error(raised.value)
    assert (failed.failure_class, failed.retryable) == (FailureClass.SOURCE, True)
    assert failed.message == "The source sent a response that cannot be read."


def test_the_sandbox_has_the_same_lists_of_http_errors_as_the_engine() -> None:
    """The sandbox has a copy of these lists, because its code cannot import the engine."""
    contract = Path(sandbox.__file__).parent / "inside" / "drover" / "_contract.py"
    values = {
        node.targets[0].id: set(ast.literal_eval(node.value.args[0]))
        for node in ast.parse(contract.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in {"REQUEST_ERRORS", "UNREADABLE_RESPONSE_ERRORS"}
        and isinstance(node.value, ast.Call)
    }
    assert values == {
        "REQUEST_ERRORS": rules.INVALID_ADDRESS_ERRORS | rules.NOT_RETRYABLE_ERRORS,
        "UNREADABLE_RESPONSE_ERRORS": rules.UNREADABLE_RESPONSE_ERRORS,
    }


def test_a_wrong_password_is_an_authentication_failure(engine_postgres: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect(engine_postgres.url(password="token-123456"))
    failed = classify_error(raised.value, "destination")
    assert failed.failure_class is FailureClass.AUTHENTICATION
    assert not failed.retryable


def test_a_database_that_does_not_exist_is_a_configuration_failure(
    engine_postgres: EmbeddedPostgres,
) -> None:
    with pytest.raises(psycopg.OperationalError) as raised:
        psycopg.connect(engine_postgres.url("nowhere"))
    assert classify_error(raised.value, "destination").failure_class is FailureClass.CONFIGURATION


@pytest.mark.parametrize(
    ("query", "failure_class", "retryable"),
    [
        ("select * from nothing_here", FailureClass.CONFIGURATION, False),
        ("select 1/0", FailureClass.DESTINATION, False),
        ("set statement_timeout = 1; select pg_sleep(1)", FailureClass.DESTINATION, True),
        ("select pg_terminate_backend(pg_backend_pid())", FailureClass.DESTINATION, True),
    ],
)
def test_an_error_of_postgresql_has_its_sqlstate_as_evidence(
    engine_postgres: EmbeddedPostgres, query: str, failure_class: FailureClass, retryable: bool
) -> None:
    with psycopg.connect(engine_postgres.url(), autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(query.encode())
        failed = classify_error(raised.value, "destination")
    assert (failed.failure_class, failed.retryable) == (failure_class, retryable)
    assert any(str(raised.value.sqlstate) in line for line in failed.evidence)


@pytest.mark.parametrize(
    ("query", "expected_text"),
    [
        ("set role pg_monitor; create table pg_catalog.mine ()", LACKS_PERMISSION),
        ("create table nowhere.mine ()", NO_SUCH),
        ("select * from nothing_here", NO_SUCH),
    ],
)
def test_a_missing_permission_schema_or_table_has_its_own_message(
    engine_postgres: EmbeddedPostgres, query: str, expected_text: str
) -> None:
    with psycopg.connect(engine_postgres.url(), autocommit=True) as connection:
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(query.encode())
        failed = classify_error(raised.value, "destination")
    assert expected_text in failed.message
    assert "credentials" not in failed.message


def test_a_full_disk_is_a_retryable_failure_of_the_destination() -> None:
    full_disk = Path("/dev/full")
    if not full_disk.exists():
        pytest.fail("this system has no /dev/full, which simulates a full disk")
    with pytest.raises(OSError, match="No space left") as raised:
        full_disk.write_text("x")
    failed = classify_error(raised.value, "destination")
    assert (failed.failure_class, failed.retryable) == (FailureClass.DESTINATION, True)
    assert failed.message == "The disk is full."
    assert "ENOSPC" in failed.evidence[0]


def test_a_folder_without_permission_is_a_configuration_failure() -> None:
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/data")
    assert classify_error(error, "destination").failure_class is FailureClass.CONFIGURATION


def test_a_panic_of_polars_is_the_fault_of_the_side_and_not_retried() -> None:
    panic = pl.exceptions.PanicException("operator does not support primitive")
    assert not isinstance(panic, Exception)
    failure = classify_error(panic)
    assert (failure.failure_class, failure.retryable) == (FailureClass.SOURCE, False)


def test_a_panic_for_lack_of_memory_is_a_failure_of_memory() -> None:
    panic = pl.exceptions.PanicException("Cannot allocate memory to hold CompactString")
    failure = classify_error(panic, "destination")
    assert (failure.failure_class, failure.retryable) == (FailureClass.MEMORY, False)


def test_errors_of_duckdb_and_polars_are_classified(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error) as raised:
        duckdb.sql("select * from nothing_here")
    assert "nothing_here" in classify_error(raised.value, "destination").message
    with pytest.raises(pl.exceptions.PolarsError) as raised_by_polars:
        pl.DataFrame({"a": ["x"]}).select(pl.col("a").cast(pl.Int64))
    assert classify_error(raised_by_polars.value).failure_class is FailureClass.SOURCE


def test_exceptions_of_the_engine_keep_their_message_and_evidence() -> None:
    failed = classify_error(RateLimitError("slow down", evidence=("429",), retry_after=3.5))
    assert failed == Failed(FailureClass.RATE_LIMIT, "slow down", ("429",), True, 3.5)


@pytest.mark.parametrize(
    ("error", "retryable"),
    [(ZeroDivisionError("division by zero"), False), (ValueError("invalid answer"), True)],
)
def test_a_bug_is_not_retryable_but_an_invalid_value_is_retryable(
    error: Exception, retryable: bool
) -> None:
    failed = classify_error(error)
    assert failed.failure_class is FailureClass.SOURCE
    assert failed.retryable is retryable
    assert type(error).__name__ in failed.message


def test_a_failure_of_the_state_database_is_internal() -> None:
    assert (
        classify_error(psycopg.OperationalError("gone"), "state").failure_class
        is FailureClass.INTERNAL
    )


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert parse_retry_after("120") == 120
    assert parse_retry_after("-5") == 0
    assert parse_retry_after("soon") is None
    assert parse_retry_after(None) is None
    wait = parse_retry_after(
        format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    )
    assert wait is not None
    assert 80 < wait <= 90
