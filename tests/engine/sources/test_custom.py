"""Runs of custom sources: complete, killed, incremental and failed ones, and every example of the cookbook."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from apps.connectors.custom_sources import cookbook
from apps.engine import connect, trial
from apps.engine.authoring.validation import validate
from apps.engine.contract import (
    CodeSpec,
    Event,
    Failed,
    Network,
    Progress,
    SandboxSpec,
    Succeeded,
)
from apps.engine.failures import EngineError, FailureClass
from apps.engine.position_shapes import MAX_POSITION_BYTES
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api

MakeRehearsal = Callable[..., Rehearsal]
PAGES_CODE = """
import time
from drover import Page, Source


class Pages(Source):
    streams = ["numbers"]

    def get(self, pagination=None):
        page = (pagination or {"page": 0})["page"]
        time.sleep(self.config.pause)
        rows = [{"n": page * 20 + n} for n in range(20)]
        return Page(rows, {"page": page + 1} if page < 99 else None)
"""
BIZON_CODE = """
from bizon.source.config import SourceConfig
from bizon.source.models import SourceIteration, SourceRecord
from bizon.source.source import AbstractSource


class NumbersConfig(SourceConfig):
    count: int


class Numbers(AbstractSource):
    @staticmethod
    def streams():
        return ["numbers"]

    @staticmethod
    def get_config_class():
        return NumbersConfig

    def get_authenticator(self):
        return None

    def check_connection(self):
        return True, None

    def get_total_records_count(self):
        return self.config.count

    def get(self, pagination=None):
        rows = [SourceRecord(id=n, data={"n": n}) for n in range(self.config.count)]
        return SourceIteration(next_pagination={}, records=rows)

    def get_records_after(self, source_state, pagination=None):
        start = source_state.state.get("next", 0)
        rows = [SourceRecord(id=n, data={"n": n}) for n in range(start, start + 5)]
        return SourceIteration(next_pagination={}, records=rows, next_state={"next": start + 5})
"""


def set_custom_source(run: Rehearsal, text: str, tmp_path: Path, **limits: Any) -> Rehearsal:
    """Give the run a custom source with this code."""
    report = validate(text)
    assert report.is_valid, report.messages
    code = CodeSpec(text, tuple(report.hosts), tuple(report.secret_names))
    run.spec = replace(
        run.spec,
        source=replace(run.spec.source, kind="custom-1", code=code),
        allow_private_networks=True,
        sandbox=SandboxSpec(home=str(tmp_path), limits=limits),
    )
    return run


def published_rows(run: Rehearsal) -> list[Any]:
    return [json.loads(line) for line in (run.folder / "published.jsonl").read_text().splitlines()]


def test_a_killed_sync_continues_without_lost_or_duplicate_rows(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = set_custom_source(make_rehearsal({"pause": 0.01}), PAGES_CODE, tmp_path)
    outcome = run.kill_and_resume()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == 2000
    assert sorted(row["n"] for row in published_rows(run)) == list(range(2000))


def test_killing_a_run_ends_its_sandbox(make_rehearsal: MakeRehearsal, tmp_path: Path) -> None:
    run = set_custom_source(make_rehearsal({"pause": 0.05}), PAGES_CODE, tmp_path)
    sandbox_pids: list[int] = []

    def kill_run(event: Event) -> None:
        if isinstance(event, Progress) and not sandbox_pids:
            sandbox_pids.extend(_descendants(run.pid))
            os.kill(run.pid, signal.SIGKILL)

    run.attempt(on_event=kill_run)
    assert sandbox_pids, "the run had no sandbox"
    deadline = time.monotonic() + 60
    while any(map(_is_running, sandbox_pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_running, sandbox_pids))


def _descendants(pid: int) -> list[int]:
    pids: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            pids += [int(child), *_descendants(int(child))]
    return pids


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_custom_source_with_bizons_classes_works(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = set_custom_source(make_rehearsal({"count": 1000}), BIZON_CODE, tmp_path)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert sorted(row["n"] for row in published_rows(run)) == list(range(1000))


def test_an_incremental_sync_continues_from_the_state_of_the_previous_sync(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = set_custom_source(
        make_rehearsal({"count": 3}, sync_mode="incremental", write_mode="append"),
        BIZON_CODE,
        tmp_path,
    )
    for expected in (3, 8, 13):
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert len(published_rows(run)) == expected
        run.start_new_run()
    assert sorted(row["n"] for row in published_rows(run)) == [0, 0, 1, 1, 2, 2, *range(3, 10)]


def test_code_that_exceeds_a_limit_fails_the_run_with_a_failure_class(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    greedy_code = PAGES_CODE.replace("time.sleep(self.config.pause)", "held = bytearray(2 << 30)")
    outcome = set_custom_source(make_rehearsal({"pause": 0}), greedy_code, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert "memory" in outcome.message
    assert not outcome.retryable
    silent_code = PAGES_CODE.replace("time.sleep(self.config.pause)", "time.sleep(60)")
    outcome = set_custom_source(
        make_rehearsal({"pause": 0}), silent_code, tmp_path, silence_seconds=1
    ).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.TIMEOUT


def test_cancelling_a_run_of_a_custom_source_ends_it(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    run = set_custom_source(make_rehearsal({"pause": 0.05}), PAGES_CODE, tmp_path)
    outcome = run.attempt(stop=lambda: "cancelled" if run.progress else None)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED


def test_accepted_and_refused_connections_are_reported(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    with serve_api(lambda request: Reply([{"n": 1}])) as api:
        text = f"""
import requests
from drover import Page, Source

class TwoHosts(Source):
    streams = ["numbers"]
    hosts = ["127.0.0.1:{api.port}"]

    def get(self, pagination=None):
        try:
            requests.get("http://" + "elsewhere.example")
        except requests.ConnectionError:
            pass
        return Page(self.session.get("http://127.0.0.1:{api.port}/").json())
"""
        run = set_custom_source(make_rehearsal({}), text, tmp_path)
        outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    hosts = [event for event in run.events if isinstance(event, Network)][-1].hosts
    by_host = {host["host"]: host for host in hosts}
    assert by_host["127.0.0.1"]["connections"] == 1
    assert by_host["127.0.0.1"]["received"] > 0
    assert "allow-list" in by_host["elsewhere.example"]["refused"]
    assert any("Refused a connection to elsewhere.example" in line.message for line in run.log)


# The examples of the cookbook.


def cookbook_api(request: ReceivedRequest) -> Reply:
    """Respond as the APIs of the cookbook's examples do."""
    replies = {
        "/v1/stations": _stations_reply,
        "/v2/orders": _orders_reply,
        "/oauth/token": _token_reply,
        "/api/contacts": _contacts_reply,
        "/api/v1/invoices": _invoices_reply,
        "/repos/acme/app/issues": _issues_reply,
        "/api/posts": _posts_reply,
        "/2026.csv": _csv_reply,
        "/2025.csv": _csv_reply,
    }
    if request.path.startswith("/api/posts/"):
        return _comments_reply(request)
    return replies[request.path](request)


def _stations_reply(request: ReceivedRequest) -> Reply:
    if request.headers.get("x-api-key") != "k-1":
        return Reply({}, 401)
    return Reply({"data": [{"id": 1}, {"id": 2}]})


def _orders_reply(request: ReceivedRequest) -> Reply:
    if request.headers.get("authorization") != "Bearer t-1":
        return Reply({}, 401)
    orders = [{"id": n, "updated_at": f"2026-01-0{n}"} for n in range(1, 6)]
    since = request.params.get("updated_since", "")
    start = int(request.params.get("cursor", 0))
    newer_orders = [order for order in orders if str(order["updated_at"]) > since]
    next_cursor = start + 2 if start + 2 < len(newer_orders) else None
    return Reply({"data": newer_orders[start : start + 2], "next_cursor": next_cursor})


def _token_reply(request: ReceivedRequest) -> Reply:
    body = request.body.decode()
    assert "grant_type=refresh_token" in body
    assert "refresh_token=r-1" in body
    return Reply({"access_token": "fresh", "expires_in": 3600})


def _contacts_reply(request: ReceivedRequest) -> Reply:
    if request.headers.get("authorization") != "Bearer fresh":
        return Reply({}, 401)
    # The server returns at most 50 records, although 200 are requested.
    page, size = int(request.params["page"]), min(int(request.params["per_page"]), 50)
    return Reply([{"id": n} for n in range(450)][(page - 1) * size : page * size])


def _invoices_reply(request: ReceivedRequest) -> Reply:
    credentials = base64.b64encode(b"ada:p-1").decode()
    if request.headers.get("authorization") != f"Basic {credentials}":
        return Reply({}, 401)
    # The server returns at most 300 records, although 500 are requested.
    offset, limit = int(request.params["offset"]), min(int(request.params["limit"]), 300)
    return Reply({"items": [{"number": n} for n in range(1200)][offset : offset + limit]})


def _issues_reply(request: ReceivedRequest) -> Reply:
    page = int(request.params.get("page", 1))
    link = {"Link": f'<{request.path}?page={page + 1}>; rel="next"'} if page < 3 else {}
    return Reply([{"id": page, "updated_at": f"2026-02-0{page}"}], headers=link)


def _posts_reply(request: ReceivedRequest) -> Reply:
    page = int(request.params.get("page", 1))
    next_page = "/api/posts?page=2" if page == 1 else None
    return Reply({"data": [{"id": page * 10}], "links": {"next": next_page}})


def _comments_reply(request: ReceivedRequest) -> Reply:
    post = request.path.split("/")[3]
    page = int(request.params.get("page", 1))
    next_page = f"{request.path}?page=2" if page == 1 else None
    rows = [{"post": post, "n": page}, {"post": post, "n": page, "spam": True}]
    return Reply({"data": rows, "links": {"next": next_page}})


def _csv_reply(request: ReceivedRequest) -> Reply:
    return Reply(b"day,rate\n1,1.5\n2,1.6\n")


# For each example: its stream, its settings, and the number of its records.
EXAMPLES: dict[str, tuple[str, dict[str, Any], int]] = {
    "api_key": ("stations", {"api_key": "k-1"}, 2),
    "bearer_cursor": ("orders", {"token": "t-1"}, 5),
    "oauth_refresh": (
        "contacts",
        {"account": "acme", "client_id": "c", "client_secret": "s-1", "refresh_token": "r-1"},
        450,
    ),
    "offset": ("invoices", {"user": "ada", "password": "p-1"}, 1200),
    "link_header": ("issues", {"token": "t-1", "owner": "acme", "repository": "app"}, 3),
    "nested_children": ("comments", {"token": "t-1"}, 4),
    "any_python": ("rates", {"years": 1}, 4),
}


def with_local_urls(text: str, port: int) -> str:
    """Return the example with a local URL instead of the URL of its API."""
    return re.sub(
        r"https://[\w.{}-]+\.example|https://api\.github\.com|data\.rates\.example(?=\")",
        lambda match: (
            f"127.0.0.1:{port}" if match[0].startswith("data") else f"http://127.0.0.1:{port}"
        ),
        text,
    )


@pytest.mark.parametrize("name", cookbook.NAMES_IN_ORDER)
def test_every_example_of_the_cookbook_reads_its_api(
    make_rehearsal: MakeRehearsal, tmp_path: Path, name: str
) -> None:
    stream, config, rows = EXAMPLES[name]
    text = next(entry["code"] for entry in cookbook.entries() if entry["name"] == name)
    with serve_api(cookbook_api) as api:
        run = set_custom_source(
            make_rehearsal(config, stream=stream), with_local_urls(text, api.port), tmp_path
        )
        outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == rows
    assert len(published_rows(run)) == rows


def test_an_example_with_a_cursor_reads_only_new_records(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    text = next(e["code"] for e in cookbook.entries() if e["name"] == "bearer_cursor")
    since_values: list[str] = []

    def respond(request: ReceivedRequest) -> Reply:
        since_values.append(request.params.get("updated_since", ""))
        return cookbook_api(request)

    with serve_api(respond) as api:
        run = set_custom_source(
            make_rehearsal(
                {"token": "t-1"}, stream="orders", sync_mode="incremental", write_mode="append"
            ),
            with_local_urls(text, api.port),
            tmp_path,
        )
        assert isinstance(run.attempt(), Succeeded)
        run.start_new_run()
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
    assert len(published_rows(run)) == 5
    assert since_values[-1] == "2026-01-05"


def test_credentials_are_sent_only_to_the_host_of_the_base_url(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    with serve_api(lambda request: Reply([{"n": 1}])) as other_api:

        def respond(request: ReceivedRequest) -> Reply:
            return Reply({"data": [], "next": f"http://127.0.0.1:{other_api.port}/stolen"})

        with serve_api(respond) as api:
            text = f"""
from drover import Bearer, NextUrl, RestSource, Secret, Stream

class Redirected(RestSource):
    base_url = "http://127.0.0.1:{api.port}"
    hosts = ["127.0.0.1:{other_api.port}"]
    auth = Bearer("token")
    paging = NextUrl("next")
    streams = [Stream("numbers", records="data")]

    class Config:
        token: str = Secret()
"""
            run = set_custom_source(make_rehearsal({"token": "t-1"}), text, tmp_path)
            run.attempt()
            assert api.requests[0].headers["authorization"] == "Bearer t-1"
    assert "authorization" not in other_api.requests[0].headers


@pytest.mark.parametrize(
    ("line", "failure", "retryable"),
    [
        ("raise drover.AuthenticationError('no')", FailureClass.AUTHENTICATION, False),
        ("raise drover.RateLimitError('slowly', retry_after=7)", FailureClass.RATE_LIMIT, True),
        ("raise drover.ConfigurationError('no')", FailureClass.CONFIGURATION, False),
        ("raise drover.SourceFailure('later')", FailureClass.SOURCE, True),
        ("return 5", FailureClass.CONTRACT, False),
        ("return drover.Page([5])", FailureClass.CONTRACT, False),
        ("return drover.Page([{'a': object()}])", FailureClass.CONTRACT, False),
        ("return drover.Page([], next_pagination=5)", FailureClass.CONTRACT, False),
        ("1 / 0", FailureClass.SOURCE, False),
    ],
)
def test_each_failure_of_custom_code_has_a_failure_class(
    make_rehearsal: MakeRehearsal, tmp_path: Path, line: str, failure: FailureClass, retryable: bool
) -> None:
    text = (
        "import drover\n\n\nclass Failing(drover.Source):\n    streams = ['numbers']\n\n"
        f"    def get(self, pagination=None):\n        {line}\n"
    )
    outcome = set_custom_source(make_rehearsal({}), text, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is failure, outcome
    assert outcome.retryable is retryable
    if "retry_after" in line:
        assert outcome.retry_after == 7


@pytest.mark.parametrize(
    ("line", "expected_text", "retryable"),
    [
        ("os.kill(os.getpid(), 9)", "The code raised PermissionError", False),
        ("raise ConnectionResetError(104, 'reset')", "The source could not be reached", True),
        ("requests.get('localhost/customers')", "The code raised MissingSchema", False),
        (
            "raise requests.exceptions.JSONDecodeError('no JSON', '<html>', 0)",
            "The source sent a response that cannot be read",
            True,
        ),
    ],
)
def test_exceptions_of_custom_code_have_a_message_and_evidence(
    tmp_path: Path, line: str, expected_text: str, retryable: bool
) -> None:
    text = (
        "import os, requests\nimport drover\n\nclass Failing(drover.Source):\n    streams = ['numbers']\n\n"
        f"    def get(self, pagination=None):\n        {line}\n"
    )
    with pytest.raises(EngineError, match=expected_text) as raised:
        connect.preview(preview_payload(text, tmp_path))
    assert raised.value.retryable is retryable
    assert f"source.py, line 8, in get: {line}" in raised.value.evidence


def test_a_preview_counts_records_that_a_run_would_reject(tmp_path: Path) -> None:
    text = (
        "import drover\n\nclass Empty(drover.Source):\n    streams = ['numbers']\n\n"
        "    def get(self, pagination=None):\n        return drover.Page([{}, {'n': 1}, {}, {}])\n"
    )
    for answer in (
        connect.preview(preview_payload(text, tmp_path)),
        trial.try_source(preview_payload(text, tmp_path)),
    ):
        assert list(answer["records"]) == [{"n": 1}]
        assert answer["rejected"] == 3
        assert list(answer["left_out"]) == [
            {"kind": "rejected", "reason": "the record has no fields", "count": 3}
        ]


def preview_payload(text: str, home: Path) -> dict[str, Any]:
    """Return the payload of a preview of the code."""
    return {
        "role": "source",
        "kind": "custom-1",
        "config": {},
        "stream": "numbers",
        "code": {"text": text, "hosts": []},
        "sandbox": {"home": str(home)},
    }


# This code finds the object that writes the answers of the sandbox, and writes a raw line to its file.
DEEP_CODE = """
from drover import Page, Source
import gc, time

OUTPUT = next(o for o in gc.get_objects() if type(o).__name__ == "Output")
DEEP = b"[" * 1000 + b"]" * 1000


class Deep(Source):
    streams = ["numbers"]

    def get(self, pagination=None):
        OUTPUT._file.write(LINE + b"\\n")
        OUTPUT._file.flush()
        time.sleep(60)
"""


@pytest.mark.parametrize("name", ["next", "state"])
def test_a_token_or_state_that_is_nested_too_deeply_is_a_contract_failure(
    name: str, make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    values = {"next": b"null", "state": b"null", name: b'{"a":DEEP}'}
    line = b'{"t":"answer","rows":0,"next":%s,"state":%s}' % (values["next"], values["state"])
    text = DEEP_CODE.replace("LINE", f"{line!r}.replace(b'DEEP', DEEP)")
    outcome = set_custom_source(make_rehearsal({}), text, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert "nested too deeply" in outcome.message
    assert outcome.failure_class is FailureClass.CONTRACT


def test_a_state_that_is_too_long_fails_the_run(
    make_rehearsal: MakeRehearsal, tmp_path: Path
) -> None:
    text = (
        "import drover\n\n\nclass Long(drover.Source):\n    streams = ['numbers']\n\n    def get(self, pagination=None):\n"
        f"        return drover.Page([{{'n': 1}}], next_state={{'seen': 'x' * {MAX_POSITION_BYTES}}})\n"
    )
    outcome = set_custom_source(make_rehearsal({}), text, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert f"at most {MAX_POSITION_BYTES:,} are allowed" in outcome.message
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.CONTRACT, False)


def test_a_preview_shows_values_of_custom_code_with_their_types(tmp_path: Path) -> None:
    text = """
import datetime, decimal, uuid
from drover import Page, Source

class Values(Source):
    streams = ["values"]

    def get(self, pagination=None):
        return Page([{
            "big": 2**80, "whole": 7, "part": 1.5, "text": "é", "none": None,
            "time": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
            "price": decimal.Decimal("1.10"), "bytes": b"ab", "set": {1},
            "id": uuid.UUID(int=1), 5: "number as a name",
        }])
"""
    payload = {
        "role": "source",
        "kind": "custom-1",
        "config": {},
        "stream": "values",
        "code": {"text": text},
        "sandbox": {"home": str(tmp_path)},
    }
    answer = connect.preview(payload)
    row, types = answer["records"][0], {field["name"]: field["type"] for field in answer["fields"]}
    assert row["big"] == str(2**80)
    assert (row["whole"], row["part"], row["none"]) == (7, 1.5, None)
    assert row["text"].startswith("é")
    assert row["time"].startswith("2026-01-02T00:00:00")
    assert (row["price"], row["bytes"], row["5"]) == ("1.10", "YWI=", "number as a name")
    assert (types["time"], types["price"], types["id"]) == ("timestamp", "number", "string")


def test_a_host_can_come_from_the_settings(tmp_path: Path) -> None:
    text = """
from drover import Field, RestSource, Stream

class Anywhere(RestSource):
    base_url = "{url}"
    streams = [Stream("numbers", path="/n")]

    class Config:
        url: str = Field("URL of the API")
"""
    assert validate(text).hosts == ["{url}"]
    with serve_api(lambda request: Reply([{"n": 1}])) as api:
        payload: dict[str, Any] = {
            "role": "source",
            "kind": "custom-1",
            "config": {"url": f"http://127.0.0.1:{api.port}"},
            "stream": "numbers",
            "code": {"text": text, "hosts": ["{url}"]},
            "sandbox": {"home": str(tmp_path)},
            "allow_private_networks": True,
        }
        assert list(connect.preview(payload)["records"]) == [{"n": 1}]
        with pytest.raises(EngineError, match="not a public address"):
            connect.preview({**payload, "allow_private_networks": False})
