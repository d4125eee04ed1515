"""Previews run in the sandbox with settings that only the sandbox sees, and saved sources get new versions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest

from apps.agent.models import ModelProvider, ModelSettings, SourceSettings
from apps.agent.sources import documents, generation, marking
from apps.connectors.models import CUSTOM_PREFIX, CustomSource
from apps.orgs.roles import Role
from tests import database
from tests.agent.conversing import Talk
from tests.agent.scripted_model import Call, Step, use_script
from tests.agent.sources.local_api import STYLES, TOKEN, LocalApi, serve
from tests.agent.sources.local_documents import document_of
from tests.agent.test_read_only_orgs import suspend
from tests.threads import DatabaseThread
from tests.world import World, make_world

API = LocalApi("bearer", "page", STYLES[0], "openapi")
ENDLESS = """
from drover import Page, Source


class Endless(Source):
    streams = ["orders"]
    hosts = ["HOST"]

    def get(self, pagination=None):
        while True:
            self.session.get("http://HOST/orders")
"""
REVEALING = """
from drover import Page, Secret, Source


class Revealing(Source):
    streams = ["orders", "failing"]
    hosts = ["shop.example"]

    class Config:
        token: str = Secret("Access token")

    def get(self, pagination=None):
        print("the token is", self.config.token)
        if self.stream.name == "failing":
            raise ValueError(f"the token is {self.config.token}")
        return Page([{"id": 1, "value": self.config.token, self.config.token: "as a name"}], None)
"""
EVERY_TABLE = """SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
                 WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"""


@pytest.fixture
def world(committed_db: None) -> World:
    return make_world()


def begin_in_builder(world: World, text: str) -> Talk:
    client = world.client(Role.MEMBER)
    body = {"graph": "source_builder"}
    created = client.post("/api/v1/agent/conversations", body, format="json")
    talk = Talk(world, client, created.json()["id"])
    talk.send(text)
    talk.work()
    return talk


def approve(talk: Talk) -> None:
    assert talk.decide(talk.open_request()["id"]).status_code == 200
    talk.work()


def results(talk: Talk) -> list[Any]:
    return [item for item in talk.turn()["items"] if item["type"] == "call"]


def code_for(base_url: str) -> str:
    proposed = documents.propose_plan(document_of(API, base_url))
    assert proposed is not None
    return generation.generate(proposed.plan)


def save_source(world: World, code: str) -> str:
    body = {"name": "Shop", "code": code, "approve": True}
    saved = world.client(Role.MEMBER).post("/api/v1/custom-sources", body, format="json")
    assert saved.status_code == 201, saved.json()
    return str(saved.json()["id"])


def tables_with(text: str) -> list[str]:
    """Return the tables of the database that contain the text, also as bytes."""
    found = []
    patterns = (f"%{text}%", f"%{text.encode().hex()}%")
    url = database.url_of(database.process_database_name())
    with psycopg.connect(url, autocommit=True) as admin:
        for (table,) in admin.execute(EVERY_TABLE).fetchall():
            query = f"SELECT count(*) FROM {table} row WHERE row::text LIKE ANY(%s)"
            row = admin.execute(query, [list(patterns)]).fetchone()
            found += [table] if row and row[0] else []
    return found


@contextmanager
def serve_counting() -> Iterator[tuple[str, list[str]]]:
    """Return the host of a server, and the list of the requests that it gets."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            time.sleep(0.1)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()


def test_code_that_reads_for_ever_is_ended_and_its_process_too(
    world: World, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SANDBOX_QUESTION_LIMITS = {**settings.SANDBOX_QUESTION_LIMITS, "wall_seconds": 3}
    with serve_counting() as (host, requests):
        code = ENDLESS.replace("HOST", host)
        preview: Call = ("preview_source", {"code": code, "stream": "orders"})
        use_script(monkeypatch, Step(calls=[preview]), Step("It does not end."))
        talk = begin_in_builder(world, "try it")
        approve(talk)
        (result,) = results(talk)
        count = len(requests)
        assert count > 3, result
        time.sleep(1)
        assert len(requests) == count, "the code still runs"
    assert talk.turn()["status"] == "done"
    assert result["state"] == "error", result
    assert (result["state"], result["result"]["error"]["class"]) == ("error", "timeout")
    assert "pagination ends" in result["result"]["error"]["advice"]


def stop(talk: Talk) -> None:
    assert talk.post("stop").status_code == 204


@pytest.mark.parametrize("end", [stop, lambda talk: suspend(talk.world)], ids=["stop", "suspend"])
def test_the_code_of_a_preview_ends_with_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch, end: Callable[[Talk], None]
) -> None:
    """Otherwise it would reach its hosts with the user's secrets until the time limit of a preview."""
    with serve_counting() as (host, requests):
        code = ENDLESS.replace("HOST", host)
        preview: Call = ("preview_source", {"code": code, "stream": "orders"})
        use_script(monkeypatch, Step(calls=[preview]), Step("Done."))
        talk = begin_in_builder(world, "try it")
        turn = DatabaseThread(target=approve, args=(talk,))
        turn.start()
        talk.wait_for(lambda _: len(requests) > 3)
        end(talk)
        turn.join(5)
        assert not turn.is_alive()
        time.sleep(2)
        count = len(requests)
        time.sleep(1)
        assert len(requests) == count, "the code still runs"
    assert talk.turn()["status"] in {"stopped", "failed"}


def test_a_saved_source_is_previewed_with_the_secrets_of_its_connector(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(API) as base_url:
        source_id = save_source(world, code_for(base_url))
        body = {
            "name": "My shop",
            "role": "source",
            "kind": f"{CUSTOM_PREFIX}{source_id}",
            "config": {"token": TOKEN},
        }
        created = world.client(Role.MEMBER).post("/api/v1/connectors", body, format="json")
        assert created.status_code == 201, created.json()
        preview: Call = (
            "preview_source",
            {
                "custom_source_id": source_id,
                "connector_id": created.json()["id"],
                "stream": "orders",
            },
        )
        use_script(monkeypatch, Step(calls=[preview]), Step("It works."))
        talk = begin_in_builder(world, "try the shop")
        assert talk.open_request()["card"]["title"] == "Preview Shop"
        assert talk.open_request()["card"]["form"] is None
        approve(talk)
    (result,) = results(talk)
    assert result["summary"] == "Read 10 records with 3 columns.", result
    assert tables_with(TOKEN) == []
    assert TOKEN not in "".join(capfd.readouterr())


def test_the_settings_of_a_preview_are_in_no_table_and_no_log(
    world: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The preview succeeds with the settings, so that they were really used. A second one fails, and quotes its failure."""
    with serve(API) as base_url:
        code = code_for(base_url)
        wrong = code.replace('path="/orders"', 'path="/nothing"')
        previews: list[Call] = [
            ("preview_source", {"code": each, "stream": "orders"}) for each in (code, wrong)
        ]
        use_script(monkeypatch, *[Step(calls=[each]) for each in previews], Step("Done."))
        talk = begin_in_builder(world, "try it")
        form = talk.open_request()["card"]["form"]
        body = {"config": {"token": TOKEN}, "hosts": form["hosts"]}
        assert talk.client.put(f"/api/v1{form['path']}", body, format="json").status_code == 204
        approve(talk)
        assert talk.open_request()["card"]["form"]["filled"]
        approve(talk)
    assert [result["state"] for result in results(talk)] == ["ok", "error"]
    assert talk.turn()["status"] == "done"
    assert tables_with("preview_source"), "the search finds what is stored"
    assert tables_with(TOKEN) == []
    assert TOKEN not in "".join(capfd.readouterr())
    assert TOKEN not in json.dumps(talk.events(), default=str)
    path = f"/api/v1/agent/conversations/{talk.id}/source-settings"
    assert talk.client.get(path).status_code == 405, "the settings can only be written"
    with world.scope():
        assert SourceSettings.objects.for_org(world.org).count() == 1
    assert talk.client.delete(f"/api/v1/agent/conversations/{talk.id}").status_code == 204
    with world.scope():
        assert not SourceSettings.objects.for_org(world.org).exists()


def test_code_that_reveals_its_settings_reveals_them_to_no_model(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The org allows record values. Even then a record, a name, a log line and an error with a secret are masked."""
    with world.scope():
        ModelSettings.unscoped.create(
            org=world.org, provider=ModelProvider.OPENAI, model="m", values_allowed=True
        )
    previews: list[Call] = [
        ("preview_source", {"code": REVEALING, "stream": name}) for name in ("orders", "failing")
    ]
    use_script(monkeypatch, *[Step(calls=[each]) for each in previews], Step("Done."))
    talk = begin_in_builder(world, "try it")
    form = talk.open_request()["card"]["form"]
    body = {"config": {"token": TOKEN}, "hosts": form["hosts"]}
    assert talk.client.put(f"/api/v1{form['path']}", body, format="json").status_code == 204
    approve(talk)
    approve(talk)
    shown, failed = (result["result"] for result in results(talk))
    assert "as a name" in shown["records"], "the record itself is shown"
    assert "the token is" in failed["error"]["message"]
    assert tables_with(TOKEN) == []


def test_a_saved_source_gets_a_second_version_with_a_diff_and_its_new_hosts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = code_for("http://old.example/v1")
    source_id = save_source(world, code)
    changed = code.replace("http://old.example/v1", "http://new.example/v2")
    saving = {"code": changed, "custom_source_id": source_id, "note": "The API has moved."}
    use_script(
        monkeypatch,
        Step(calls=[("list_custom_sources", {})]),
        Step(calls=[("show_custom_source", {"custom_source_id": source_id})]),
        Step(calls=[("save_source_version", saving)]),
        Step("Saved."),
    )
    talk = begin_in_builder(world, "the shop has moved to new.example")
    assert marking.unmark(results(talk)[1]["result"]["code"]) == code
    card = talk.open_request()["card"]
    facts = {fact["label"]: fact["value"] for fact in card["facts"]}
    assert (facts["Version"], facts["New hosts"]) == ("2", "new.example")
    diff = card["changes"][0]["diff"]
    assert '-    base_url = "http://old.example/v1"' in diff
    assert '+    base_url = "http://new.example/v2"' in diff
    assert "Pipelines that name no version run the new version from now on." in card["warnings"]
    approve(talk)
    with world.scope():
        source = CustomSource.objects.for_org(world.org).get()
        assert (source.latest, source.approved) == (2, 2)


def test_a_source_of_another_org_is_neither_shown_nor_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    source_id = save_source(make_world("Other"), code_for("http://old.example/v1"))
    code = code_for("http://new.example/v1")
    use_script(
        monkeypatch,
        Step(
            calls=[
                ("show_custom_source", {"custom_source_id": source_id}),
                ("save_source_version", {"code": code, "custom_source_id": source_id}),
                ("preview_source", {"custom_source_id": source_id, "stream": "orders"}),
            ]
        ),
        Step("Done."),
    )
    talk = begin_in_builder(world, "change it")
    assert talk.turn()["status"] == "done", "nobody was asked"
    assert results(talk)[0]["result"]["error"]["code"] == "not_found"
    with world.scope():
        assert not CustomSource.objects.for_org(world.org).exists()
