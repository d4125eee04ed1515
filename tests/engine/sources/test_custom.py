"""Custom sources in runs: whole syncs, killed and resumed, incremental, and every example of the cookbook."""

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
from tests.engine.conftest import Rehearsal
from tests.engine.sources.api import Asked, Reply, serving

Rehearse = Callable[..., Rehearsal]
PAGES = """
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
BIZON = """
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


def custom(run: Rehearsal, text: str, tmp_path: Path, **limits: Any) -> Rehearsal:
    """A run with this code as its source."""
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


def published(run: Rehearsal) -> list[Any]:
    return [json.loads(line) for line in (run.folder / "published.jsonl").read_text().splitlines()]


def test_a_killed_sync_continues_without_lost_or_duplicate_rows(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = custom(rehearse({"pause": 0.01}), PAGES, tmp_path)
    outcome = run.resume()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == 2000
    assert sorted(row["n"] for row in published(run)) == list(range(2000))


def test_when_the_run_is_killed_its_sandbox_dies_with_it(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = custom(rehearse({"pause": 0.05}), PAGES, tmp_path)
    seen: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, Progress) and not seen:
            seen.extend(_children(run.pid))
            os.kill(run.pid, signal.SIGKILL)

    run.attempt(on_event=kill)
    assert seen, "there was no sandbox to die"
    deadline = time.monotonic() + 60
    while (left := [pid for pid in seen if _runs(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_bizons_own_contract_works_as_it_is(rehearse: Rehearse, tmp_path: Path) -> None:
    run = custom(rehearse({"count": 1000}), BIZON, tmp_path)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert sorted(row["n"] for row in published(run)) == list(range(1000))


def test_an_incremental_sync_hands_its_state_to_the_next(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    run = custom(
        rehearse({"count": 3}, sync_mode="incremental", write_mode="append"), BIZON, tmp_path
    )
    for expected in (3, 8, 13):
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
        assert len(published(run)) == expected
        run.next_run()
    assert sorted(row["n"] for row in published(run)) == [0, 0, 1, 1, 2, 2, *range(3, 10)]


def test_a_limit_ends_the_run_with_its_class(rehearse: Rehearse, tmp_path: Path) -> None:
    greedy = PAGES.replace("time.sleep(self.config.pause)", "held = bytearray(2 << 30)")
    outcome = custom(rehearse({"pause": 0}), greedy, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert "memory" in outcome.message
    assert not outcome.retryable
    silent = PAGES.replace("time.sleep(self.config.pause)", "time.sleep(60)")
    outcome = custom(rehearse({"pause": 0}), silent, tmp_path, silence_seconds=1).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.TIMEOUT


def test_a_stop_ends_it_at_a_checkpoint(rehearse: Rehearse, tmp_path: Path) -> None:
    run = custom(rehearse({"pause": 0.05}), PAGES, tmp_path)
    outcome = run.attempt(stop=lambda: "cancelled" if run.progress else None)
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CANCELLED


def test_connections_and_refusals_are_reported(rehearse: Rehearse, tmp_path: Path) -> None:
    with serving(lambda asked: Reply([{"n": 1}])) as api:
        text = f"""
import requests
from drover import Page, Source

class Reaching(Source):
    streams = ["numbers"]
    hosts = ["127.0.0.1:{api.port}"]

    def get(self, pagination=None):
        try:
            requests.get("http://" + "elsewhere.example")
        except requests.ConnectionError:
            pass
        return Page(self.session.get("http://127.0.0.1:{api.port}/").json())
"""
        run = custom(rehearse({}), text, tmp_path)
        outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    told = [event for event in run.events if isinstance(event, Network)][-1].hosts
    by_host = {place["host"]: place for place in told}
    assert by_host["127.0.0.1"]["connections"] == 1
    assert by_host["127.0.0.1"]["received"] > 0
    assert "allow-list" in by_host["elsewhere.example"]["refused"]
    assert any("Refused a connection to elsewhere.example" in line.message for line in run.log)


# The cookbook.


def answers(asked: Asked) -> Reply:
    """The APIs that the examples of the cookbook use."""
    script = {
        "/v1/stations": _stations,
        "/v2/orders": _orders,
        "/oauth/token": _token,
        "/api/contacts": _contacts,
        "/api/v1/invoices": _invoices,
        "/repos/acme/app/issues": _issues,
        "/api/posts": _posts,
        "/2026.csv": _csv,
        "/2025.csv": _csv,
    }
    if asked.path.startswith("/api/posts/"):
        return _comments(asked)
    return script[asked.path](asked)


def _stations(asked: Asked) -> Reply:
    if asked.headers.get("x-api-key") != "k-1":
        return Reply({}, 401)
    return Reply({"data": [{"id": 1}, {"id": 2}]})


def _orders(asked: Asked) -> Reply:
    if asked.headers.get("authorization") != "Bearer t-1":
        return Reply({}, 401)
    orders = [{"id": n, "updated_at": f"2026-01-0{n}"} for n in range(1, 6)]
    since = asked.params.get("updated_since", "")
    start = int(asked.params.get("cursor", 0))
    left = [order for order in orders if str(order["updated_at"]) > since]
    following = start + 2 if start + 2 < len(left) else None
    return Reply({"data": left[start : start + 2], "next_cursor": following})


def _token(asked: Asked) -> Reply:
    sent = asked.body.decode()
    assert "grant_type=refresh_token" in sent
    assert "refresh_token=r-1" in sent
    return Reply({"access_token": "fresh", "expires_in": 3600})


def _contacts(asked: Asked) -> Reply:
    if asked.headers.get("authorization") != "Bearer fresh":
        return Reply({}, 401)
    page, size = int(asked.params["page"]), int(asked.params["per_page"])
    return Reply([{"id": n} for n in range(450)][(page - 1) * size : page * size])


def _invoices(asked: Asked) -> Reply:
    pair = base64.b64encode(b"ada:p-1").decode()
    if asked.headers.get("authorization") != f"Basic {pair}":
        return Reply({}, 401)
    offset, limit = int(asked.params["offset"]), int(asked.params["limit"])
    return Reply({"items": [{"number": n} for n in range(1200)][offset : offset + limit]})


def _issues(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 1))
    link = {"Link": f'<{asked.path}?page={page + 1}>; rel="next"'} if page < 3 else {}
    return Reply([{"id": page, "updated_at": f"2026-02-0{page}"}], headers=link)


def _posts(asked: Asked) -> Reply:
    page = int(asked.params.get("page", 1))
    following = "/api/posts?page=2" if page == 1 else None
    return Reply({"data": [{"id": page * 10}], "links": {"next": following}})


def _comments(asked: Asked) -> Reply:
    post = asked.path.split("/")[3]
    page = int(asked.params.get("page", 1))
    following = f"{asked.path}?page=2" if page == 1 else None
    rows = [{"post": post, "n": page}, {"post": post, "n": page, "spam": True}]
    return Reply({"data": rows, "links": {"next": following}})


def _csv(asked: Asked) -> Reply:
    return Reply(b"day,rate\n1,1.5\n2,1.6\n")


RECIPES: dict[str, tuple[str, dict[str, Any], int]] = {
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


def local(text: str, port: int) -> str:
    """Return the example, with this machine instead of its host."""
    return re.sub(
        r"https://[\w.{}-]+\.example|https://api\.github\.com|data\.rates\.example(?=\")",
        lambda found: (
            f"127.0.0.1:{port}" if found[0].startswith("data") else f"http://127.0.0.1:{port}"
        ),
        text,
    )


@pytest.mark.parametrize("name", cookbook.ORDER)
def test_every_recipe_reads_its_api(rehearse: Rehearse, tmp_path: Path, name: str) -> None:
    stream, config, rows = RECIPES[name]
    text = next(entry["code"] for entry in cookbook.entries() if entry["name"] == name)
    with serving(answers) as api:
        run = custom(rehearse(config, stream=stream), local(text, api.port), tmp_path)
        outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == rows
    assert len(published(run)) == rows


def test_a_recipe_with_a_cursor_reads_only_what_is_new(rehearse: Rehearse, tmp_path: Path) -> None:
    text = next(e["code"] for e in cookbook.entries() if e["name"] == "bearer_cursor")
    asked: list[str] = []

    def script(request: Asked) -> Reply:
        asked.append(request.params.get("updated_since", ""))
        return answers(request)

    with serving(script) as api:
        run = custom(
            rehearse(
                {"token": "t-1"}, stream="orders", sync_mode="incremental", write_mode="append"
            ),
            local(text, api.port),
            tmp_path,
        )
        assert isinstance(run.attempt(), Succeeded)
        run.next_run()
        outcome = run.attempt()
        assert isinstance(outcome, Succeeded), outcome
    assert len(published(run)) == 5
    assert asked[-1] == "2026-01-05"


def test_credentials_are_sent_to_the_base_urls_host_only(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    with serving(lambda asked: Reply([{"n": 1}])) as other:

        def script(asked: Asked) -> Reply:
            return Reply({"data": [], "next": f"http://127.0.0.1:{other.port}/stolen"})

        with serving(script) as api:
            text = f"""
from drover import Bearer, NextUrl, RestSource, Secret, Stream

class Led(RestSource):
    base_url = "http://127.0.0.1:{api.port}"
    hosts = ["127.0.0.1:{other.port}"]
    auth = Bearer("token")
    paging = NextUrl("next")
    streams = [Stream("numbers", records="data")]

    class Config:
        token: str = Secret()
"""
            run = custom(rehearse({"token": "t-1"}), text, tmp_path)
            run.attempt()
            assert api.asked[0].headers["authorization"] == "Bearer t-1"
    assert "authorization" not in other.asked[0].headers


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
def test_each_failure_of_the_code_has_its_class(
    rehearse: Rehearse, tmp_path: Path, line: str, failure: FailureClass, retryable: bool
) -> None:
    text = (
        "import drover\n\n\nclass Failing(drover.Source):\n    streams = ['numbers']\n\n"
        f"    def get(self, pagination=None):\n        {line}\n"
    )
    outcome = custom(rehearse({}), text, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is failure, outcome
    assert outcome.retryable is retryable
    if "retry_after" in line:
        assert outcome.retry_after == 7


@pytest.mark.parametrize(
    ("line", "says", "retryable"),
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
def test_only_a_failed_connection_is_reported_as_one(
    tmp_path: Path, line: str, says: str, retryable: bool
) -> None:
    text = (
        "import os, requests\nimport drover\n\nclass Failing(drover.Source):\n    streams = ['numbers']\n\n"
        f"    def get(self, pagination=None):\n        {line}\n"
    )
    with pytest.raises(EngineError, match=says) as failed:
        connect.preview(asked_of(text, tmp_path))
    assert failed.value.retryable is retryable
    assert f"source.py, line 8, in get: {line}" in failed.value.evidence


def test_a_preview_counts_what_a_run_would_reject(tmp_path: Path) -> None:
    text = (
        "import drover\n\nclass Empty(drover.Source):\n    streams = ['numbers']\n\n"
        "    def get(self, pagination=None):\n        return drover.Page([{}, {'n': 1}, {}, {}])\n"
    )
    for answer in (
        connect.preview(asked_of(text, tmp_path)),
        trial.try_source(asked_of(text, tmp_path)),
    ):
        assert list(answer["records"]) == [{"n": 1}]
        assert answer["rejected"] == 3


def asked_of(text: str, home: Path) -> dict[str, Any]:
    """Preview that code."""
    return {
        "role": "source",
        "kind": "custom-1",
        "config": {},
        "stream": "numbers",
        "code": {"text": text, "hosts": []},
        "sandbox": {"home": str(home)},
    }


DEEP = """
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
def test_what_is_nested_too_deeply_to_be_handed_back_has_its_class(
    name: str, rehearse: Rehearse, tmp_path: Path
) -> None:
    values = {"next": b"null", "state": b"null", name: b'{"a":DEEP}'}
    line = b'{"t":"answer","rows":0,"next":%s,"state":%s}' % (values["next"], values["state"])
    text = DEEP.replace("LINE", f"{line!r}.replace(b'DEEP', DEEP)")
    outcome = custom(rehearse({}), text, tmp_path).attempt()
    assert isinstance(outcome, Failed)
    assert "nested too deeply" in outcome.message
    assert outcome.failure_class is FailureClass.CONTRACT


def test_numbers_times_and_texts_arrive_as_they_are(tmp_path: Path) -> None:
    text = """
import datetime, decimal, uuid
from drover import Page, Source

class Values(Source):
    streams = ["values"]

    def get(self, pagination=None):
        return Page([{
            "big": 2**80, "whole": 7, "part": 1.5, "text": "é\\ud800", "none": None,
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
    row, types = answer["records"][0], {one["name"]: one["type"] for one in answer["fields"]}
    assert row["big"] == str(2**80)
    assert (row["whole"], row["part"], row["none"]) == (7, 1.5, None)
    assert row["text"].startswith("é")
    assert row["time"].startswith("2026-01-02T00:00:00")
    assert (row["price"], row["bytes"], row["5"]) == ("1.10", "YWI=", "number as a name")
    assert (types["time"], types["price"], types["id"]) == ("timestamp", "number", "string")


def test_a_host_from_the_settings_is_what_the_settings_say(tmp_path: Path) -> None:
    text = """
from drover import Field, RestSource, Stream

class Anywhere(RestSource):
    base_url = "{url}"
    streams = [Stream("numbers", path="/n")]

    class Config:
        url: str = Field("Where it is")
"""
    assert validate(text).hosts == ["{url}"]
    with serving(lambda asked: Reply([{"n": 1}])) as api:
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
