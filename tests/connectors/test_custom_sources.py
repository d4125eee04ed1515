"""Custom sources: create, validate, preview, approve, restore, use, and refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest

from apps.connectors import engine
from apps.connectors.custom_sources import kinds
from apps.connectors.custom_sources.serializers import MAX_COMPARED_LINES
from apps.connectors.models import CustomSource
from apps.orgs.exceptions import Invalid
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.orgs.walls.scope import current_org_id
from tests.world import World

URL = "/api/v1/custom-sources"
TOKEN = "canary-of-a-token-8k3p"
CODE = '''
from drover import Bearer, RestSource, Secret, Stream


class Shop(RestSource):
    """What a shop sells."""

    base_url = "http://127.0.0.1:PORT"
    auth = Bearer("token")
    streams = [Stream("orders", path="/orders", primary_key="id")]

    class Config:
        token: str = Secret("A token")
'''


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps([{"id": 1, "total": 9.5}, {"id": 2, "total": 3}]).encode()
        good = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if good else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def code(port: int = 8000, **replaced: str) -> str:
    text = CODE.replace("PORT", str(port))
    for before, after in replaced.items():
        text = text.replace(before, after)
    return text


def create(world: World, role: Role = Role.MEMBER, **changes: Any) -> dict[str, Any]:
    sent = {"name": "Shop", "code": code(), **changes}
    answer = world.client(role).post(URL, sent)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_a_source_is_saved_with_its_validation_report(world: World) -> None:
    made = create(world)
    assert made["latest_version"] == 1
    assert made["approved_version"] is None
    report = made["version"]["report"]
    assert [stream["name"] for stream in report["streams"]] == ["orders"]
    assert report["config_schema"]["required"] == ["token"]
    assert report["secret_names"] == ["token"]
    assert made["version"]["hosts"] == ["127.0.0.1:8000"]
    read = world.client(Role.VIEWER).get(f"{URL}/{made['id']}")
    assert read.json() == made
    listed = world.client(Role.VIEWER).get(URL).json()
    assert [row["name"] for row in listed["results"]] == ["Shop"]
    assert "code" not in listed["results"][0]


def test_code_that_is_not_valid_is_refused_line_by_line(world: World) -> None:
    answer = world.client().post(URL, {"name": "Shop", "code": "import pandas\nx = ("})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {
            "field": "code",
            "message": "Line 2: Syntax error: '(' was never closed.",
            "code": "invalid_code",
        }
    ]
    checked = world.client().post(f"{URL}/validate", {"code": "import pandas"}).json()
    assert not checked["valid"]
    first = next(e for e in checked["errors"] if "pandas" in e["message"])
    assert first["message"] == "A custom source cannot import pandas."
    assert (first["line"], first["column"]) == (1, 1)


def test_no_transaction_is_open_while_code_is_validated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create(world)
    open_scopes: list[Any] = []
    validate = engine.validate

    def watched(**asked: Any) -> Any:
        open_scopes.append(current_org_id())
        return validate(**asked)

    monkeypatch.setattr(engine, "validate", watched)
    create(world, name="Other")
    changed = world.client().patch(f"{URL}/{made['id']}", {"code": code() + "# newer\n"})
    assert changed.json()["latest_version"] == 2
    draft = {"code": code(), "stream": "orders", "config": {"token": "t"}}
    assert world.client().post(f"{URL}/preview", draft).status_code == 200
    assert open_scopes == [None, None, None]


def test_what_changed_during_the_validation_of_other_code_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{URL}/{create(world)['id']}"
    validate = engine.validate

    def meanwhile(**asked: Any) -> Any:
        monkeypatch.setattr(engine, "validate", validate)
        assert world.client().patch(path, {"name": "Store"}).status_code == 200
        return validate(**asked)

    tag = world.client().get(path)["ETag"]
    monkeypatch.setattr(engine, "validate", meanwhile)
    newer = {"code": code() + "# newer\n"}
    answer = world.client().patch(path, newer, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert world.client().get(path).json()["latest_version"] == 1


def test_a_source_made_with_a_key_is_made_once(world: World) -> None:
    client = world.client()
    sent = {"name": "Shop", "code": code()}
    first, again = (client.post(URL, sent, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert again["ETag"] == first["ETag"]


def test_two_sources_of_one_name_are_a_conflict(world: World) -> None:
    create(world)
    answer = world.client().post(URL, {"name": "SHOP", "code": code()})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_other_code_is_another_version_and_the_same_code_is_none(world: World) -> None:
    made = create(world)
    same = world.client().patch(f"{URL}/{made['id']}", {"code": code()}).json()
    assert same["latest_version"] == 1
    changed = code(orders="invoices")
    other = world.client().patch(f"{URL}/{made['id']}", {"code": changed, "note": "Renamed"}).json()
    assert other["latest_version"] == 2
    assert other["version"]["note"] == "Renamed"
    versions = world.client(Role.VIEWER).get(f"{URL}/{made['id']}/versions").json()
    assert [row["number"] for row in versions["results"]] == [2, 1]
    diff = world.client(Role.VIEWER).get(f"{URL}/{made['id']}/versions/2/diff").json()
    assert '-    streams = [Stream("orders"' in diff["diff"]
    assert '+    streams = [Stream("invoices"' in diff["diff"]
    assert (diff["hosts_added"], diff["hosts_removed"]) == ([], [])


def test_the_diff_shows_new_hosts(world: World) -> None:
    made = create(world)
    elsewhere = code().replace("http://127.0.0.1:8000", "https://api.example.com")
    world.client().patch(f"{URL}/{made['id']}", {"code": elsewhere})
    diff = world.client().get(f"{URL}/{made['id']}/versions/2/diff").json()
    assert diff["hosts_added"] == ["api.example.com"]
    assert diff["hosts_removed"] == ["127.0.0.1:8000"]
    first = world.client().get(f"{URL}/{made['id']}/versions/1/diff").json()
    assert first["before"] == 0
    assert first["hosts_added"] == ["127.0.0.1:8000"]


def test_versions_with_too_many_lines_are_not_compared(world: World) -> None:
    long = code() + "# a\n" * (MAX_COMPARED_LINES + 1 - len(code().splitlines()))
    made = create(world)
    for text in (long, long.removesuffix("# a\n")):
        world.client().patch(f"{URL}/{made['id']}", {"code": text})
    for number, against, compared in ((2, 1, False), (3, 2, False), (3, 1, True)):
        diff = (
            world.client()
            .get(f"{URL}/{made['id']}/versions/{number}/diff", {"against": against})
            .json()
        )
        assert (diff["diff"] is not None) is compared
        assert diff["hosts_added"] == []


def test_restoring_makes_a_new_version_that_equals_the_old(world: World) -> None:
    made = create(world)
    world.client().patch(f"{URL}/{made['id']}", {"code": code(orders="invoices")})
    restored = world.client().post(f"{URL}/{made['id']}/versions/1/restore", {}).json()
    assert restored["latest_version"] == 3
    assert restored["version"]["code"] == code()
    assert restored["version"]["note"] == "Restored version 1"


def test_what_changed_meanwhile_is_not_overwritten(world: World) -> None:
    made = create(world)
    world.client().patch(f"{URL}/{made['id']}", {"description": "x"})
    late = world.client().patch(
        f"{URL}/{made['id']}", {"description": "y"}, headers={"If-Match": '"1"'}
    )
    assert late.status_code == 412


def test_each_change_leaves_an_audit_event_without_the_code(world: World) -> None:
    made = create(world, approve=True)
    world.client().patch(f"{URL}/{made['id']}", {"code": code(orders="invoices")})
    world.client().delete(f"{URL}/{made['id']}")
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="custom_source")
        actions = sorted(events.values_list("action", flat=True))
        assert "RestSource" not in json.dumps(list(events.values_list("changes", flat=True)))
    assert actions == [
        "custom_source.approve",
        "custom_source.create",
        "custom_source.delete",
        "custom_source.update",
    ]


# Preview.


def test_a_draft_is_tried_for_real_records_with_its_requests_and_log(
    world: World, port: int
) -> None:
    sent = {"code": code(port), "stream": "orders", "config": {"token": TOKEN}, "max_records": 1}
    answer = world.client().post(f"{URL}/preview", sent)
    assert answer.status_code == 200, answer.content
    tried = answer.json()
    assert tried["ok"], tried
    assert (tried["records"], tried["rejected"]) == ([{"id": 1, "total": 9.5}], 0)
    assert [(call["method"], call["status"]) for call in tried["requests"]] == [("GET", 200)]
    assert tried["network"][0]["host"] == "127.0.0.1"
    assert tried["isolation"].startswith(("good", "strong"))
    assert tried["failure"] is None


def test_a_failure_comes_with_its_class_its_line_and_no_secret(world: World, port: int) -> None:
    bad = code(port).replace(
        "class Config",
        "def get(self, pagination=None):\n        raise ValueError(self.config.token)\n\n    class Config",
    )
    sent = {"code": bad, "stream": "orders", "config": {"token": TOKEN}}
    tried = world.client().post(f"{URL}/preview", sent).json()
    assert not tried["ok"]
    assert tried["failure"]["failure_class"] == "source"
    assert "ValueError" in tried["failure"]["message"]
    assert any("source.py, line 13" in line for line in tried["failure"]["evidence"])
    assert TOKEN not in json.dumps(tried)
    wrong = {"code": code(port), "stream": "orders", "config": {"token": "another"}}
    refused = world.client().post(f"{URL}/preview", wrong).json()
    assert refused["failure"]["failure_class"] == "authentication"


def test_settings_that_are_missing_are_named(world: World) -> None:
    answer = world.client().post(f"{URL}/preview", {"code": code(), "stream": "orders"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "config.token"


def test_a_saved_source_is_tried_by_its_id_and_stored_secrets_go_to_approved_code_only(
    world: World, port: int
) -> None:
    made = create(world, code=code(port), approve=True)
    connector = world.client().post(
        "/api/v1/connectors",
        {"name": "Shop", "role": "source", "kind": made["kind"], "config": {"token": TOKEN}},
    )
    assert connector.status_code == 201, connector.content
    sent = {"id": made["id"], "stream": "orders", "connector_id": connector.json()["id"]}
    assert world.client().post(f"{URL}/preview", sent).json()["ok"]
    world.client().patch(f"{URL}/{made['id']}", {"code": code(port) + "\n# more\n"})
    answer = world.client().post(f"{URL}/preview", sent)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unapproved")
    assert world.client().post(f"{URL}/preview", {**sent, "version": 1}).json()["ok"]


# Approval.


def test_code_that_may_reach_any_host_needs_an_admin(world: World) -> None:
    anywhere = code().replace("streams =", 'hosts = ["*"]\n    streams =')
    refused = world.client().post(URL, {"name": "Shop", "code": anywhere, "approve": True})
    assert refused.status_code == 403
    assert "Only an admin can approve" in refused.json()["detail"]
    made = create(world, code=anywhere)
    path = f"{URL}/{made['id']}/versions/1/approve"
    assert world.client().post(path, {}).status_code == 403
    tried = {"id": made["id"], "stream": "orders", "config": {"token": "x"}}
    assert world.client().post(f"{URL}/preview", tried).status_code == 403
    assert world.client(Role.ADMIN).post(path, {}).json()["approved_version"] == 1


def test_only_approved_sources_are_kinds(world: World, port: int) -> None:
    made = create(world, code=code(port))
    sent = {"name": "S", "role": "source", "kind": made["kind"], "config": {"token": TOKEN}}
    assert world.client().post("/api/v1/connectors", sent).status_code == 422
    assert made["kind"] not in _kinds(world)
    world.client().post(f"{URL}/{made['id']}/versions/1/approve", {})
    assert made["kind"] in _kinds(world)
    connector = world.client().post("/api/v1/connectors", sent).json()
    assert connector["config"]["token"] == {"set": True, "last4": "8k3p"}
    checked = world.client().post(f"/api/v1/connectors/{connector['id']}/check", {}).json()
    assert checked["ok"], checked
    assert [step["step"] for step in checked["steps"]] == ["isolate", "connect"]
    streams = world.client().get(f"/api/v1/connectors/{connector['id']}/streams").json()
    assert [stream["name"] for stream in streams["streams"]] == ["orders"]


def _kinds(world: World) -> set[str]:
    listed = world.client(Role.VIEWER).get("/api/v1/catalog/sources").json()
    return {entry["kind"] for entry in listed["results"]}


def pipeline(world: World, kind: str, stream: str = "orders", **source: Any) -> Any:
    config = {
        "source": {"kind": kind, "config": {"token": TOKEN}, **source},
        "streams": [{"stream": stream}],
        "destination": {"kind": "jsonl", "config": {}},
    }
    return world.client().post("/api/v1/pipelines", {"name": f"P {uuid4().hex}", "config": config})


def test_a_pipeline_runs_the_latest_approved_or_a_pinned_version(world: World, port: int) -> None:
    made = create(world, code=code(port), approve=True)
    latest = pipeline(world, made["kind"])
    assert latest.status_code == 201, latest.content
    assert latest.json()["config"]["source"]["version"] is None
    pinned = pipeline(world, made["kind"], version=1).json()
    assert pinned["config"]["source"]["version"] == 1
    world.client().patch(
        f"{URL}/{made['id']}", {"code": code(port, orders="invoices"), "approve": True}
    )
    refused = pipeline(world, made["kind"])
    assert refused.json()["errors"][0]["field"] == "streams.0.stream"
    assert pipeline(world, made["kind"], version=1).status_code == 201
    unknown = pipeline(world, made["kind"], version=7)
    assert unknown.json()["errors"][0]["field"] == "source.kind"
    preview = world.client().post(f"/api/v1/pipelines/{pinned['id']}/preview", {}).json()
    assert preview["records"][0] == {"id": 1, "total": 9.5}
    gone = world.client().post(f"/api/v1/pipelines/{latest.json()['id']}/preview", {}).json()
    assert gone["failure"]["failure_class"] == "configuration"


def test_an_unapproved_version_does_not_run_even_if_it_is_pinned(world: World, port: int) -> None:
    """Saving a pipeline already refuses such a version; starting a run checks it again."""
    made = create(world, code=code(port), approve=True)
    world.client().patch(f"{URL}/{made['id']}", {"code": code(port) + "\n# more\n"})
    with world.scope():
        assert kinds.approved_version(world.org, made["kind"], 1).number == 1
        with pytest.raises(Invalid):
            kinds.approved_version(world.org, made["kind"], 2)


def test_only_custom_sources_have_versions(world: World) -> None:
    answer = pipeline(world, "dummy", version=1, config={}, stream="creatures")
    assert {k: v for k, v in answer.json()["errors"][0].items() if k == "field"} == {
        "field": "source.version"
    }


def test_it_is_not_deleted_while_it_is_used(world: World, port: int) -> None:
    made = create(world, code=code(port), approve=True)
    user = pipeline(world, made["kind"]).json()
    refused = world.client().delete(f"{URL}/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert user["name"] in refused.json()["detail"]
    world.client().delete(f"/api/v1/pipelines/{user['id']}")
    assert world.client().delete(f"{URL}/{made['id']}").status_code == 204
    assert world.client().get(f"{URL}/{made['id']}").status_code == 404


def test_an_archived_source_is_hidden_and_keeps_running_where_it_is_used(
    world: World, port: int
) -> None:
    made = create(world, code=code(port), approve=True)
    user = pipeline(world, made["kind"]).json()
    world.client().patch(f"{URL}/{made['id']}", {"archived": True})
    assert made["kind"] not in _kinds(world)
    assert world.client().get(URL).json()["count"] == 0
    assert world.client().get(f"{URL}?archived=true").json()["count"] == 1
    preview = world.client().post(f"/api/v1/pipelines/{user['id']}/preview", {}).json()
    assert preview["ok"]


# Permissions.


CHANGES = [
    ("post", "", {"name": "Mine", "code": code()}),
    ("post", "/validate", {"code": code()}),
    ("post", "/preview", {"code": code(), "stream": "orders", "config": {"token": "x"}}),
    ("patch", "/{id}", {"name": "Mine"}),
    ("delete", "/{id}", None),
    ("post", "/{id}/versions/1/restore", {}),
    ("post", "/{id}/versions/1/approve", {}),
]
READS = ["/{id}", "/{id}/versions", "/{id}/versions/1", "/{id}/versions/1/diff"]


@pytest.mark.parametrize(("method", "path", "sent"), CHANGES)
def test_a_viewer_changes_and_tries_nothing(
    world: World, method: str, path: str, sent: Any
) -> None:
    made = create(world)
    ask = getattr(world.client(Role.VIEWER), method)
    answer = ask(f"{URL}{path.format(**made)}", sent)
    assert answer.status_code == 403
    assert "custom_sources.edit" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        *(change for change in CHANGES if "{id}" in change[1]),
        *(("get", path, None) for path in READS),
    ],
)
def test_a_stranger_cannot_tell_it_from_none(
    world: World, stranger: World, method: str, path: str, sent: Any
) -> None:
    made = create(world)
    ask = getattr(stranger.client(Role.OWNER), method)
    foreign = ask(f"{URL}{path.format(**made)}", sent)
    unknown = ask(f"{URL}{path.format(id=uuid4())}", sent)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_a_source_of_another_org_is_not_a_kind_here(
    world: World, stranger: World, port: int
) -> None:
    made = create(world, code=code(port), approve=True)
    assert pipeline(stranger, made["kind"]).status_code == 422
    tried = {"id": made["id"], "stream": "orders", "config": {"token": "x"}}
    assert stranger.client().post(f"{URL}/preview", tried).status_code == 404
    assert made["kind"] not in _kinds(stranger)


def test_the_cookbook_is_valid_and_lists_importable_packages(world: World) -> None:
    book = world.client(Role.VIEWER).get(f"{URL}/cookbook").json()
    assert len(book["results"]) == 7
    assert {"requests", "httpx", "pydantic"} <= set(book["packages"])
    for recipe in book["results"]:
        report = world.client().post(f"{URL}/validate", {"code": recipe["code"]}).json()
        assert report["valid"], (recipe["name"], report["errors"])
        assert report["warnings"] == []


def test_a_list_takes_the_same_queries_however_long(
    world: World, django_assert_max_num_queries: Any
) -> None:
    create(world)
    with world.scope():
        CustomSource.unscoped.bulk_create(
            CustomSource(org=world.org, name=f"Source {n}", approved=1) for n in range(30)
        )
    client = world.client(Role.VIEWER)
    with django_assert_max_num_queries(8):
        assert client.get(URL).json()["count"] == 31


def test_the_catalogue_is_asked_again_after_an_approval(world: World, stranger: World) -> None:
    made = create(world)
    before = world.client().get("/api/v1/catalog/sources")
    assert before.headers["Cache-Control"] == "private, no-cache"
    world.client().post(f"{URL}/{made['id']}/versions/1/approve", {})
    known = {"If-None-Match": before.headers["ETag"]}
    assert world.client().get("/api/v1/catalog/sources", headers=known).status_code == 200
    assert stranger.client().get("/api/v1/catalog/sources", headers=known).status_code == 304


def test_the_newest_version_is_approved_without_sending_it_again(world: World) -> None:
    made = create(world)
    approved = world.client().patch(f"{URL}/{made['id']}", {"approve": True}).json()
    assert approved["approved_version"] == 1


def test_latest_approved_is_the_one_that_was_approved_last(world: World, port: int) -> None:
    made = create(world, code=code(port), approve=True)
    world.client().patch(
        f"{URL}/{made['id']}", {"code": code(port, orders="invoices"), "approve": True}
    )
    world.client().post(f"{URL}/{made['id']}/versions/1/approve", {})
    back = pipeline(world, made["kind"]).json()
    preview = world.client().post(f"/api/v1/pipelines/{back['id']}/preview", {}).json()
    assert preview["ok"], preview


def test_a_member_tries_approved_code_that_reaches_any_host(world: World, port: int) -> None:
    anywhere = code(port).replace("streams =", 'hosts = ["*"]\n    streams =')
    made = create(world, Role.ADMIN, code=anywhere, approve=True)
    sent = {"id": made["id"], "stream": "orders", "config": {"token": TOKEN}}
    assert world.client().post(f"{URL}/preview", sent).json()["ok"]


@pytest.mark.parametrize("base", ['"{where}"', '"https://{where}.example.com"'])
def test_a_secret_does_not_follow_a_changed_setting_that_may_make_the_address(
    world: World, base: str
) -> None:
    led = code().replace('"http://127.0.0.1:8000"', base)
    made = create(world, code=led + "        where: str\n", approve=True)
    config = {"token": TOKEN, "where": "shop"}
    sent = {"name": "S", "role": "source", "kind": made["kind"], "config": config}
    connector = world.client().post("/api/v1/connectors", sent).json()
    moved = world.client().patch(
        f"/api/v1/connectors/{connector['id']}", {"config": {"where": "thief"}}
    )
    assert moved.status_code == 422
    assert moved.json()["errors"][0]["code"] == "secret_required"


def test_an_orgs_export_takes_its_sources_along_with_every_version(world: World) -> None:
    made = create(world)
    changed = code(orders="invoices")
    world.client().patch(f"{URL}/{made['id']}", {"code": changed})
    answer: Any = world.client(Role.OWNER).get("/api/v1/org/export")
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    versions = [row for row in rows if row["record"] == "custom_source_version"]
    assert [row["code"] for row in versions] == [code(), changed]
    assert [row["name"] for row in rows if row["record"] == "custom_source"] == ["Shop"]
