"""Runs of a custom source with real children: approved code, in a sandbox, with its connections recorded."""

from __future__ import annotations

from apps.connectors.custom_sources import services as custom_sources
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.engine.authoring.validation import validate
from apps.orgs.principals import SYSTEM
from apps.runs.execute import Worker
from tests.engine.sources.api import ReceivedRequest, Reply, serve_api
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import shown, start
from tests.world import World

SECRET = "canary-of-a-run-5t9w"


def test_a_run_of_a_custom_source_shows_what_it_reached_and_not_its_secret(
    acme: World, this_worker: Worker
) -> None:
    def script(asked: ReceivedRequest) -> Reply:
        good = asked.headers.get("authorization") == f"Bearer {SECRET}"
        return Reply([{"id": n} for n in range(100)], 200 if good else 401)

    with serve_api(script) as api:
        code = f"""
from drover import Bearer, RestSource, Secret, Stream


class Shop(RestSource):
    base_url = "http://127.0.0.1:{api.port}"
    auth = Bearer("pat")
    streams = [Stream("orders")]

    class Config:
        pat: str = Secret()

    def get(self, pagination=None):
        print("asking with", self.config.pat)
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
        run_id = start(acme, pipeline)
        work_until_idle(this_worker)
    run = shown(acme, run_id)
    assert run["status"] == "succeeded", run
    assert run["progress"]["written"] == 100
    (place,) = [p for p in run["attempts"][0]["network"] if p["port"] == api.port]
    assert (place["host"], place["connections"], place["refused"]) == ("127.0.0.1", 1, "")
    log = acme.client("viewer").get(f"/api/v1/runs/{run_id}/logs").content.decode()
    assert "asking with •••" in log
    assert SECRET not in log


# Characters that PostgreSQL cannot store: NUL, and half a surrogate pair in text.
UNSTORABLE = {
    "says": 'raise ValueError("a\\0b\\ud800")',
    "remembers": 'return Page([{"id": 1}], next_state={"at": "\\0"})',
    "reaches for": """
        import socket
        try:
            socket.create_connection(("a\\0b.test", 443))
        except OSError:
            return Page([{"id": 1}])""",
    "names": 'return Page([{"id": 1}, {"a\\0b": 2}])',
}
ENDS = {
    "says": ("failed", "source"),
    "remembers": ("failed", "source"),
    "reaches for": ("succeeded", None),
    "names": ("succeeded", None),
}


def test_code_that_speaks_what_no_database_stores_fails_as_a_source_and_at_once(
    acme: World, this_worker: Worker
) -> None:
    runs = {}
    for name, body in UNSTORABLE.items():
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
            text = CheckedCode(code, validate(code).to_json())
            source = custom_sources.create(
                org=acme.org, by=SYSTEM, name=name, code=code, checked=text, approve=True
            )
        pipeline = make_pipeline(
            acme, source_kind=source.kind, source={"shop": "a"}, stream="orders"
        )
        runs[name] = start(acme, pipeline)
    work_until_idle(this_worker)
    done = {name: shown(acme, run_id) for name, run_id in runs.items()}
    for name, run in done.items():
        why = run["failure"] and run["failure"]["class"]
        assert (run["status"], why) == ENDS[name], (name, run["failure"])
        assert run["attempt"] == 1
    assert "preview" in done["says"]["failure"]["next_step"]
    assert done["reaches for"]["attempts"][0]["network"][0]["host"] == "a\ufffdb.test"
