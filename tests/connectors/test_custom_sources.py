"""Custom sources are created, validated, previewed, approved, restored and used, or the request is rejected."""

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


class ShopServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps([{"id": 1, "total": 9.5}, {"id": 2, "total": 3}]).encode()
        is_authorized = self.headers["Authorization"] == f"Bearer {TOKEN}"
        self.send_response(200 if is_authorized else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ShopServer)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def source_code(port: int = 8000, **replacements: str) -> str:
    text = CODE.replace("PORT", str(port))
    for before, after in replacements.items():
        text = text.replace(before, after)
    return text


def create_source(world: World, role: Role = Role.MEMBER, **changes: Any) -> dict[str, Any]:
    body = {"name": "Shop", "code": source_code(), **changes}
    answer = world.client(role).post(URL, body)
    assert answer.status_code == 201, answer.content
    source: dict[str, Any] = answer.json()
    return source


def test_a_source_is_saved_with_its_validation_report(world: World) -> None:
    source = create_source(world)
    assert source["latest_version"] == 1
    assert source["approved_version"] is None
    report = source["version"]["report"]
    assert [stream["name"] for stream in report["streams"]] == ["orders"]
    assert report["config_schema"]["required"] == ["token"]
    assert report["secret_names"] == ["token"]
    assert source["version"]["hosts"] == ["127.0.0.1:8000"]
    read = world.client(Role.VIEWER).get(f"{URL}/{source['id']}")
    assert read.json() == source
    listed = world.client(Role.VIEWER).get(URL).json()
    assert [row["name"] for row in listed["results"]] == ["Shop"]
    assert "code" not in listed["results"][0]


def test_errors_in_code_name_the_line(world: World) -> None:
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
    source = create_source(world)
    orgs_in_scope: list[Any] = []
    validate = engine.validate

    def record_org_in_scope(**arguments: Any) -> Any:
        orgs_in_scope.append(current_org_id())
        return validate(**arguments)

    monkeypatch.setattr(engine, "validate", record_org_in_scope)
    create_source(world, name="Other")
    changed = world.client().patch(f"{URL}/{source['id']}", {"code": source_code() + "# newer\n"})
    assert changed.json()["latest_version"] == 2
    draft = {"code": source_code(), "stream": "orders", "config": {"token": "t"}}
    assert world.client().post(f"{URL}/preview", draft).status_code == 200
    assert orgs_in_scope == [None, None, None]


def test_a_change_made_while_new_code_is_validated_is_not_overwritten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{URL}/{create_source(world)['id']}"
    validate = engine.validate

    def rename_while_validating(**arguments: Any) -> Any:
        monkeypatch.setattr(engine, "validate", validate)
        assert world.client().patch(path, {"name": "Store"}).status_code == 200
        return validate(**arguments)

    tag = world.client().get(path)["ETag"]
    monkeypatch.setattr(engine, "validate", rename_while_validating)
    changes = {"code": source_code() + "# newer\n"}
    answer = world.client().patch(path, changes, headers={"If-Match": tag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert world.client().get(path).json()["latest_version"] == 1


def test_two_requests_with_one_idempotency_key_create_one_source(world: World) -> None:
    client = world.client()
    body = {"name": "Shop", "code": source_code()}
    first, second = (client.post(URL, body, headers={"Idempotency-Key": "a"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert second["Idempotency-Replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert second["ETag"] == first["ETag"]


def test_a_second_source_with_the_same_name_is_rejected(world: World) -> None:
    create_source(world)
    answer = world.client().post(URL, {"name": "SHOP", "code": source_code()})
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")


def test_changed_code_creates_a_version_and_unchanged_code_does_not(world: World) -> None:
    source = create_source(world)
    unchanged = world.client().patch(f"{URL}/{source['id']}", {"code": source_code()}).json()
    assert unchanged["latest_version"] == 1
    changed = source_code(orders="invoices")
    updated = (
        world.client().patch(f"{URL}/{source['id']}", {"code": changed, "note": "Renamed"}).json()
    )
    assert updated["latest_version"] == 2
    assert updated["version"]["note"] == "Renamed"
    versions = world.client(Role.VIEWER).get(f"{URL}/{source['id']}/versions").json()
    assert [row["number"] for row in versions["results"]] == [2, 1]
    diff = world.client(Role.VIEWER).get(f"{URL}/{source['id']}/versions/2/diff").json()
    assert '-    streams = [Stream("orders"' in diff["diff"]
    assert '+    streams = [Stream("invoices"' in diff["diff"]
    assert (diff["hosts_added"], diff["hosts_removed"]) == ([], [])


def test_the_diff_shows_new_hosts(world: World) -> None:
    source = create_source(world)
    code_with_other_host = source_code().replace("http://127.0.0.1:8000", "https://api.example.com")
    world.client().patch(f"{URL}/{source['id']}", {"code": code_with_other_host})
    diff = world.client().get(f"{URL}/{source['id']}/versions/2/diff").json()
    assert diff["hosts_added"] == ["api.example.com"]
    assert diff["hosts_removed"] == ["127.0.0.1:8000"]
    first = world.client().get(f"{URL}/{source['id']}/versions/1/diff").json()
    assert first["before"] == 0
    assert first["hosts_added"] == ["127.0.0.1:8000"]


def test_versions_with_too_many_lines_are_not_compared(world: World) -> None:
    long_code = source_code() + "# a\n" * (MAX_COMPARED_LINES + 1 - len(source_code().splitlines()))
    source = create_source(world)
    for text in (long_code, long_code.removesuffix("# a\n")):
        world.client().patch(f"{URL}/{source['id']}", {"code": text})
    for number, against, is_compared in ((2, 1, False), (3, 2, False), (3, 1, True)):
        diff = (
            world.client()
            .get(f"{URL}/{source['id']}/versions/{number}/diff", {"against": against})
            .json()
        )
        assert (diff["diff"] is not None) is is_compared
        assert diff["hosts_added"] == []


def test_restoring_a_version_creates_a_new_version_with_the_same_code(world: World) -> None:
    source = create_source(world)
    world.client().patch(f"{URL}/{source['id']}", {"code": source_code(orders="invoices")})
    restored = world.client().post(f"{URL}/{source['id']}/versions/1/restore", {}).json()
    assert restored["latest_version"] == 3
    assert restored["version"]["code"] == source_code()
    assert restored["version"]["note"] == "Restored version 1"


def test_an_update_with_a_stale_if_match_is_rejected(world: World) -> None:
    source = create_source(world)
    world.client().patch(f"{URL}/{source['id']}", {"description": "x"})
    answer = world.client().patch(
        f"{URL}/{source['id']}", {"description": "y"}, headers={"If-Match": '"1"'}
    )
    assert answer.status_code == 412


def test_each_change_is_audited_without_the_code(world: World) -> None:
    source = create_source(world, approve=True)
    world.client().patch(f"{URL}/{source['id']}", {"code": source_code(orders="invoices")})
    world.client().delete(f"{URL}/{source['id']}")
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


def test_the_audit_log_names_the_allowed_hosts_before_and_only_if_they_changed(
    world: World,
) -> None:
    first, other = "127.0.0.1:8000", "127.0.0.1:9000"
    source = create_source(world, code=source_code(8000), approve=True)
    address = f"{URL}/{source['id']}"
    world.client().patch(address, {"code": source_code(8000, orders="invoices")})
    world.client().patch(address, {"code": source_code(9000), "approve": True})
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(object_kind="custom_source")
        created, approved, new_code, new_host, approved_again = events.order_by("pk").values_list(
            "changes", flat=True
        )
    assert created["hosts"] == [None, [first]]
    assert approved["hosts"] == [None, [first]]
    assert new_code == {"version": [1, 2], "sha256": [created["sha256"][1], new_code["sha256"][1]]}
    assert new_host["hosts"] == [[first], [other]]
    assert approved_again == {"hosts": [[first], [other]], "approved": [1, 3]}


# Preview.


def test_a_preview_of_unsaved_code_returns_records_and_its_requests(
    world: World, port: int
) -> None:
    body = {
        "code": source_code(port),
        "stream": "orders",
        "config": {"token": TOKEN},
        "max_records": 1,
    }
    answer = world.client().post(f"{URL}/preview", body)
    assert answer.status_code == 200, answer.content
    preview = answer.json()
    assert preview["ok"], preview
    assert (preview["records"], preview["rejected"]) == ([{"id": 1, "total": 9.5}], 0)
    assert [(call["method"], call["status"]) for call in preview["requests"]] == [("GET", 200)]
    assert preview["network"][0]["host"] == "127.0.0.1"
    assert preview["isolation"].startswith(("good", "strong"))
    assert preview["failure"] is None


def test_a_failed_preview_reports_the_failure_class_and_line_without_secrets(
    world: World, port: int
) -> None:
    failing_code = source_code(port).replace(
        "class Config",
        "def get(self, pagination=None):\n        raise ValueError(self.config.token)\n\n    class Config",
    )
    body = {"code": failing_code, "stream": "orders", "config": {"token": TOKEN}}
    preview = world.client().post(f"{URL}/preview", body).json()
    assert not preview["ok"]
    assert preview["failure"]["failure_class"] == "source"
    assert "ValueError" in preview["failure"]["message"]
    assert any("source.py, line 13" in line for line in preview["failure"]["evidence"])
    assert TOKEN not in json.dumps(preview)
    body_with_wrong_token = {
        "code": source_code(port),
        "stream": "orders",
        "config": {"token": "another"},
    }
    refused = world.client().post(f"{URL}/preview", body_with_wrong_token).json()
    assert refused["failure"]["failure_class"] == "authentication"


def test_a_preview_without_required_settings_names_them(world: World) -> None:
    answer = world.client().post(f"{URL}/preview", {"code": source_code(), "stream": "orders"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "config.token"


def test_a_preview_with_stored_secrets_runs_only_approved_code(world: World, port: int) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    connector = world.client().post(
        "/api/v1/connectors",
        {"name": "Shop", "role": "source", "kind": source["kind"], "config": {"token": TOKEN}},
    )
    assert connector.status_code == 201, connector.content
    body = {"id": source["id"], "stream": "orders", "connector_id": connector.json()["id"]}
    assert world.client().post(f"{URL}/preview", body).json()["ok"]
    world.client().patch(f"{URL}/{source['id']}", {"code": source_code(port) + "\n# more\n"})
    answer = world.client().post(f"{URL}/preview", body)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "unapproved")
    assert world.client().post(f"{URL}/preview", {**body, "version": 1}).json()["ok"]


# Approval.


def test_only_an_admin_may_approve_or_preview_new_code_that_reaches_any_host(world: World) -> None:
    code_for_any_host = source_code().replace("streams =", 'hosts = ["*"]\n    streams =')
    refused = world.client().post(URL, {"name": "Shop", "code": code_for_any_host, "approve": True})
    assert refused.status_code == 403
    assert "Only an admin can approve" in refused.json()["detail"]
    source = create_source(world, code=code_for_any_host)
    path = f"{URL}/{source['id']}/versions/1/approve"
    assert world.client().post(path, {}).status_code == 403
    body = {"id": source["id"], "stream": "orders", "config": {"token": "x"}}
    assert world.client().post(f"{URL}/preview", body).status_code == 403
    assert world.client(Role.ADMIN).post(path, {}).json()["approved_version"] == 1


def test_only_approved_sources_can_be_used_as_connector_kinds(world: World, port: int) -> None:
    source = create_source(world, code=source_code(port))
    body = {"name": "S", "role": "source", "kind": source["kind"], "config": {"token": TOKEN}}
    assert world.client().post("/api/v1/connectors", body).status_code == 422
    assert source["kind"] not in _catalogue_kinds(world)
    world.client().post(f"{URL}/{source['id']}/versions/1/approve", {})
    assert source["kind"] in _catalogue_kinds(world)
    connector = world.client().post("/api/v1/connectors", body).json()
    assert connector["config"]["token"] == {"set": True, "last4": "8k3p"}
    check = world.client().post(f"/api/v1/connectors/{connector['id']}/check", {}).json()
    assert check["ok"], check
    assert [step["step"] for step in check["steps"]] == ["isolate", "connect"]
    streams = world.client().get(f"/api/v1/connectors/{connector['id']}/streams").json()
    assert [stream["name"] for stream in streams["streams"]] == ["orders"]


def _catalogue_kinds(world: World) -> set[str]:
    catalogue = world.client(Role.VIEWER).get("/api/v1/catalog/sources").json()
    return {entry["kind"] for entry in catalogue["results"]}


def create_pipeline(world: World, kind: str, stream: str = "orders", **source_changes: Any) -> Any:
    config = {
        "source": {"kind": kind, "config": {"token": TOKEN}, **source_changes},
        "streams": [{"stream": stream}],
        "destination": {"kind": "jsonl", "config": {}},
    }
    return world.client().post("/api/v1/pipelines", {"name": f"P {uuid4().hex}", "config": config})


def test_a_pipeline_runs_the_latest_approved_or_a_pinned_version(world: World, port: int) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    latest = create_pipeline(world, source["kind"])
    assert latest.status_code == 201, latest.content
    assert latest.json()["config"]["source"]["version"] is None
    pinned = create_pipeline(world, source["kind"], version=1).json()
    assert pinned["config"]["source"]["version"] == 1
    world.client().patch(
        f"{URL}/{source['id']}", {"code": source_code(port, orders="invoices"), "approve": True}
    )
    refused = create_pipeline(world, source["kind"])
    assert refused.json()["errors"][0]["field"] == "streams.0.stream"
    assert create_pipeline(world, source["kind"], version=1).status_code == 201
    unknown = create_pipeline(world, source["kind"], version=7)
    assert unknown.json()["errors"][0]["field"] == "source.kind"
    preview = world.client().post(f"/api/v1/pipelines/{pinned['id']}/preview", {}).json()
    assert preview["records"][0] == {"id": 1, "total": 9.5}
    failed_preview = (
        world.client().post(f"/api/v1/pipelines/{latest.json()['id']}/preview", {}).json()
    )
    assert failed_preview["failure"]["failure_class"] == "configuration"


def test_a_pinned_version_that_is_not_approved_does_not_run(world: World, port: int) -> None:
    """Saving a pipeline already rejects an unapproved version. Starting a run checks it again."""
    source = create_source(world, code=source_code(port), approve=True)
    world.client().patch(f"{URL}/{source['id']}", {"code": source_code(port) + "\n# more\n"})
    with world.scope():
        assert kinds.approved_version(world.org, source["kind"], 1).number == 1
        with pytest.raises(Invalid):
            kinds.approved_version(world.org, source["kind"], 2)


def test_only_a_custom_source_may_be_pinned_to_a_version(world: World) -> None:
    answer = create_pipeline(world, "dummy", version=1, config={}, stream="creatures")
    assert answer.json()["errors"][0]["field"] == "source.version"


def test_a_source_used_by_a_pipeline_cannot_be_deleted(world: World, port: int) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    pipeline = create_pipeline(world, source["kind"]).json()
    refused = world.client().delete(f"{URL}/{source['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert pipeline["name"] in refused.json()["detail"]
    world.client().delete(f"/api/v1/pipelines/{pipeline['id']}")
    assert world.client().delete(f"{URL}/{source['id']}").status_code == 204
    assert world.client().get(f"{URL}/{source['id']}").status_code == 404


def test_an_archived_source_is_hidden_and_still_runs_in_its_pipelines(
    world: World, port: int
) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    pipeline = create_pipeline(world, source["kind"]).json()
    world.client().patch(f"{URL}/{source['id']}", {"archived": True})
    assert source["kind"] not in _catalogue_kinds(world)
    assert world.client().get(URL).json()["count"] == 0
    assert world.client().get(f"{URL}?archived=true").json()["count"] == 1
    preview = world.client().post(f"/api/v1/pipelines/{pipeline['id']}/preview", {}).json()
    assert preview["ok"]


# Permissions.


CHANGE_REQUESTS = [
    ("post", "", {"name": "Mine", "code": source_code()}),
    ("post", "/validate", {"code": source_code()}),
    ("post", "/preview", {"code": source_code(), "stream": "orders", "config": {"token": "x"}}),
    ("patch", "/{id}", {"name": "Mine"}),
    ("delete", "/{id}", None),
    ("post", "/{id}/versions/1/restore", {}),
    ("post", "/{id}/versions/1/approve", {}),
]
READ_PATHS = ["/{id}", "/{id}/versions", "/{id}/versions/1", "/{id}/versions/1/diff"]


@pytest.mark.parametrize(("method", "path", "body"), CHANGE_REQUESTS)
def test_a_viewer_may_neither_change_nor_preview_sources(
    world: World, method: str, path: str, body: Any
) -> None:
    source = create_source(world)
    send = getattr(world.client(Role.VIEWER), method)
    answer = send(f"{URL}{path.format(**source)}", body)
    assert answer.status_code == 403
    assert "custom_sources.edit" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(change for change in CHANGE_REQUESTS if "{id}" in change[1]),
        *(("get", path, None) for path in READ_PATHS),
    ],
)
def test_a_stranger_gets_the_same_404_for_a_source_as_for_an_unknown_id(
    world: World, stranger: World, method: str, path: str, body: Any
) -> None:
    source = create_source(world)
    send = getattr(stranger.client(Role.OWNER), method)
    foreign = send(f"{URL}{path.format(**source)}", body)
    unknown = send(f"{URL}{path.format(id=uuid4())}", body)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_a_source_of_another_org_cannot_be_used(world: World, stranger: World, port: int) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    assert create_pipeline(stranger, source["kind"]).status_code == 422
    body = {"id": source["id"], "stream": "orders", "config": {"token": "x"}}
    assert stranger.client().post(f"{URL}/preview", body).status_code == 404
    assert source["kind"] not in _catalogue_kinds(stranger)


def test_every_recipe_of_the_cookbook_is_valid_and_importable_packages_are_listed(
    world: World,
) -> None:
    cookbook = world.client(Role.VIEWER).get(f"{URL}/cookbook").json()
    assert len(cookbook["results"]) == 7
    assert {"requests", "httpx", "pydantic"} <= set(cookbook["packages"])
    for recipe in cookbook["results"]:
        report = world.client().post(f"{URL}/validate", {"code": recipe["code"]}).json()
        assert report["valid"], (recipe["name"], report["errors"])
        assert report["warnings"] == []


def test_listing_many_sources_takes_a_fixed_number_of_queries(
    world: World, django_assert_max_num_queries: Any
) -> None:
    create_source(world)
    with world.scope():
        CustomSource.unscoped.bulk_create(
            CustomSource(org=world.org, name=f"Source {n}", approved=1) for n in range(30)
        )
    client = world.client(Role.VIEWER)
    with django_assert_max_num_queries(8):
        assert client.get(URL).json()["count"] == 31


def test_an_approval_changes_the_etag_of_the_catalogue_for_its_org_only(
    world: World, stranger: World
) -> None:
    source = create_source(world)
    first_answer = world.client().get("/api/v1/catalog/sources")
    assert first_answer.headers["Cache-Control"] == "private, no-cache"
    world.client().post(f"{URL}/{source['id']}/versions/1/approve", {})
    headers = {"If-None-Match": first_answer.headers["ETag"]}
    assert world.client().get("/api/v1/catalog/sources", headers=headers).status_code == 200
    assert stranger.client().get("/api/v1/catalog/sources", headers=headers).status_code == 304


def test_the_newest_version_can_be_approved_without_sending_its_code(world: World) -> None:
    source = create_source(world)
    approved = world.client().patch(f"{URL}/{source['id']}", {"approve": True}).json()
    assert approved["approved_version"] == 1


def test_a_pipeline_uses_the_version_that_was_approved_last(world: World, port: int) -> None:
    source = create_source(world, code=source_code(port), approve=True)
    world.client().patch(
        f"{URL}/{source['id']}", {"code": source_code(port, orders="invoices"), "approve": True}
    )
    world.client().post(f"{URL}/{source['id']}/versions/1/approve", {})
    pipeline = create_pipeline(world, source["kind"]).json()
    preview = world.client().post(f"/api/v1/pipelines/{pipeline['id']}/preview", {}).json()
    assert preview["ok"], preview


def test_a_member_may_preview_approved_code_that_reaches_any_host(world: World, port: int) -> None:
    code_for_any_host = source_code(port).replace("streams =", 'hosts = ["*"]\n    streams =')
    source = create_source(world, Role.ADMIN, code=code_for_any_host, approve=True)
    body = {"id": source["id"], "stream": "orders", "config": {"token": TOKEN}}
    assert world.client().post(f"{URL}/preview", body).json()["ok"]


@pytest.mark.parametrize("base_url", ['"{where}"', '"https://{where}.example.com"'])
def test_changing_a_setting_that_is_part_of_the_address_requires_the_secret_again(
    world: World, base_url: str
) -> None:
    code_with_setting_in_address = source_code().replace('"http://127.0.0.1:8000"', base_url)
    source = create_source(
        world, code=code_with_setting_in_address + "        where: str\n", approve=True
    )
    config = {"token": TOKEN, "where": "shop"}
    body = {"name": "S", "role": "source", "kind": source["kind"], "config": config}
    connector = world.client().post("/api/v1/connectors", body).json()
    answer = world.client().patch(
        f"/api/v1/connectors/{connector['id']}", {"config": {"where": "thief"}}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "secret_required"


def test_the_export_of_an_org_contains_its_sources_with_every_version(world: World) -> None:
    source = create_source(world)
    changed_code = source_code(orders="invoices")
    world.client().patch(f"{URL}/{source['id']}", {"code": changed_code})
    answer: Any = world.client(Role.OWNER).get("/api/v1/org/export")
    rows = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    versions = [row for row in rows if row["record"] == "custom_source_version"]
    assert [row["code"] for row in versions] == [source_code(), changed_code]
    assert [row["name"] for row in rows if row["record"] == "custom_source"] == ["Shop"]
