"""Runs of custom sources with real child processes. The code runs in a sandbox, and its connections are recorded."""

from __future__ import annotations

from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.engine.authoring.validation import validate
from apps.orgs.principals import SYSTEM
from apps.runs.execute import Worker
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import read_run, start_run
from tests.world import World, make_connector
from tests.world import make_pipeline as make_pipeline_of_config

SECRET = "canary-of-a-run-5t9w"


def test_a_run_of_a_custom_source_records_its_connections_and_hides_its_secret(
    acme: World, this_worker: Worker
) -> None:
    def reply_to(request: ReceivedRequest) -> Reply:
        is_authorized = request.headers.get("authorization") == f"Bearer {SECRET}"
        return Reply([{"id": n} for n in range(100)], 200 if is_authorized else 401)

    with serve_api(reply_to) as api:
        code = f"""
from drover import Bearer, RestSource, Secret, Stream


class Shop(RestSource):
    base_url = "http://127.0.0.1:{api.port}"
    auth = Bearer("pat")
    streams = [Stream("orders")]

    class Config:
        pat: str = Secret()

    def get(self, pagination=None):
        print("sending", self.config.pat)
        return super().get(pagination)
"""
        with acme.scope():
            source = custom_sources.create(
                org=acme.org,
                by=SYSTEM,
                name="Shop",
                code=code,
                checked=CheckedCode(code, validate(code).to_json()),
                approve=True,
            )
        pipeline = make_pipeline(
            acme,
            source_kind=source.kind,
            source={"pat": SECRET},
            stream="orders",
        )
        run_id = start_run(acme, pipeline)
        work_until_idle(this_worker)
    run = read_run(acme, run_id)
    assert run["status"] == "succeeded", run
    assert run["progress"]["written"] == 100
    (connection,) = [entry for entry in run["attempts"][0]["network"] if entry["port"] == api.port]
    assert (connection["host"], connection["connections"], connection["refused"]) == (
        "127.0.0.1",
        1,
        "",
    )
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs").content.decode()
    assert "Reading orders from Shop, version 1 (Full refresh)" in log
    assert source.kind not in log
    assert "sending •••" in log
    assert SECRET not in log


# Code that produces characters that PostgreSQL cannot store: NUL, or half of a surrogate pair.
CODE_WITH_UNSTORABLE_TEXT = {
    "raises the text": 'raise ValueError("a\\0b\\ud800")',
    "stores the text as state": 'return Page([{"id": 1}], next_state={"at": "\\0"})',
    "connects to the text": """
        import socket
        try:
            socket.create_connection(("a\\0b.test", 443))
        except OSError:
            return Page([{"id": 1}])""",
    "uses the text as a field": 'return Page([{"id": 1}, {"a\\0b": 2}])',
}
EXPECTED_RESULTS = {
    "raises the text": ("failed", "source"),
    "stores the text as state": ("failed", "source"),
    "connects to the text": ("succeeded", None),
    "uses the text as a field": ("failed", "contract"),
}


def test_code_with_text_that_the_database_cannot_store_ends_after_one_attempt(
    acme: World, this_worker: Worker
) -> None:
    runs = {}
    for name, body in CODE_WITH_UNSTORABLE_TEXT.items():
        code = f"""
from drover import Page, Source


class Shop(Source):
    streams = ["orders"]

    class Config:
        shop: str

    def get(self, pagination=None):
        {body}
"""
        with acme.scope():
            checked_code = CheckedCode(code, validate(code).to_json())
            source = custom_sources.create(
                org=acme.org, by=SYSTEM, name=name, code=code, checked=checked_code, approve=True
            )
        pipeline = make_pipeline(
            acme, source_kind=source.kind, source={"shop": "a"}, stream="orders"
        )
        runs[name] = start_run(acme, pipeline)
    work_until_idle(this_worker)
    ended_runs = {name: read_run(acme, run_id) for name, run_id in runs.items()}
    for name, run in ended_runs.items():
        failure_class = run["failure"] and run["failure"]["class"]
        assert (run["status"], failure_class) == EXPECTED_RESULTS[name], (name, run["failure"])
        assert run["attempt"] == 1
    assert "preview" in ended_runs["raises the text"]["failure"]["next_step"]
    assert (
        ended_runs["connects to the text"]["attempts"][0]["network"][0]["host"] == "a\ufffdb.test"
    )


def test_a_stream_whose_name_cannot_be_stored_is_not_offered_and_patterns_read_the_others(
    acme: World, this_worker: Worker
) -> None:
    code = """
from drover import Page, Source, Stream


class Odd(Source):
    streams = [Stream("numbers"), Stream("a" + chr(0) + "b"), Stream("c", primary_key=["k" + chr(0)])]

    def get(self, pagination=None):
        return Page([{"id": 1}])
"""
    with acme.scope():
        source = custom_sources.create(
            org=acme.org,
            by=SYSTEM,
            name="Odd",
            code=code,
            checked=CheckedCode(code, validate(code).to_json()),
            approve=True,
        )
    connector = make_connector(acme, kind=source.kind, config={})
    client = acme.client()
    offered = client.get(f"/api/v1/connectors/{connector.pk}/streams")
    assert offered.status_code == 200
    assert [stream["name"] for stream in offered.json()["streams"]] == ["numbers"]
    config = {
        "source": {"connector_id": str(connector.pk)},
        "patterns": {"match": ["*"]},
        "destination": {"kind": "logger", "config": {}},
    }
    run_id = start_run(acme, make_pipeline_of_config(acme, config=config))
    work_until_idle(this_worker)
    run = read_run(acme, run_id)
    assert (run["status"], run["streams_total"]) == ("succeeded", 1), run
