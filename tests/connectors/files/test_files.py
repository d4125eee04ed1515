"""Data files can be uploaded, listed, replaced and deleted. Tests of slow and broken connections are in test_receiving."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test.client import encode_multipart
from django.utils import timezone
from rest_framework.test import APIClient

from apps.background import registry
from apps.connectors.exceptions import UploadEnded
from apps.connectors.files import limits, sweeping, uploads
from apps.connectors.models import FileUpload, UploadedFile
from apps.orgs.keys import services as api_keys
from apps.orgs.members import domains
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Permission, Role
from local.backups import files as backup_files
from tests.isolation.planted import membership, principal
from tests.world import World, make_connector, make_pipeline, new_client

FILES = "/api/v1/files"
CSV = b"id,total\n1,9.50\n2,3.20\n"


def upload(world: World, name: str, data: bytes = CSV, role: str = "member", **headers: Any) -> Any:
    return world.client(role).post(
        f"{FILES}?name={name}", data, content_type="application/octet-stream", **headers
    )


def replace(world: World, file_id: str, data: bytes, role: str = "member", **headers: Any) -> Any:
    return world.client(role).put(
        f"{FILES}/{file_id}", data, content_type="application/octet-stream", **headers
    )


def folder(world: World) -> Path:
    return Path(settings.DROVER_HOME, "storage", "org", str(world.org.pk))


def stored(world: World) -> dict[str, bytes]:
    """Return the content of every file of the org in the storage, also of those that nobody can see."""
    found: dict[str, bytes] = {}
    for parent, _, names in os.walk(folder(world)):
        for name in names:
            path = Path(parent, name)
            with suppress(FileNotFoundError):  # The server may remove it at this moment.
                found[str(path.relative_to(folder(world)))] = path.read_bytes()
    return found


def events(world: World) -> list[tuple[str, str]]:
    with world.scope():
        rows = AuditEvent.objects.for_org(world.org).filter(object_kind="file").order_by("at")
        return list(rows.values_list("action", "object_label"))


# Upload.


def test_a_form_is_refused_because_its_boundaries_would_become_content(world: World) -> None:
    form = encode_multipart("x", {"file": SimpleUploadedFile("orders.csv", CSV)})
    file_id = upload(world, "orders.csv").json()["id"]
    form_type = "multipart/form-data; boundary=x"
    for send, path in (("post", f"{FILES}?name=b.csv"), ("put", f"{FILES}/{file_id}")):
        answer = getattr(world.client(), send)(path, form, content_type=form_type)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
        assert "`-T FILE`" in answer.json()["detail"]
    assert list(stored(world).values()) == [CSV]


def test_an_uploaded_file_is_stored_listed_and_audited(world: World) -> None:
    answer = upload(world, "orders.csv")
    assert answer.status_code == 201, answer.content
    file = answer.json()
    assert (file["name"], file["bytes"], file["version"]) == ("orders.csv", len(CSV), 1)
    assert answer["ETag"] == '"1"'
    assert stored(world) == {"files/orders.csv": CSV}
    assert world.client("viewer").get(FILES).json()["results"] == [file]
    assert world.client("viewer").get(f"{FILES}/{file['id']}").json() == file
    assert events(world) == [("file.upload", "orders.csv")]


def test_a_viewer_cannot_upload_replace_or_delete(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    assert upload(world, "more.csv", role="viewer").status_code == 403
    assert replace(world, file_id, b"x", role="viewer").status_code == 403
    assert world.client("viewer").delete(f"{FILES}/{file_id}").status_code == 403
    assert stored(world) == {"files/orders.csv": CSV}


def test_a_stranger_sees_no_file(world: World, stranger: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    assert stranger.client().get(FILES).json()["results"] == []
    assert stranger.client().get(f"{FILES}/{file_id}").status_code == 404
    assert replace(stranger, file_id, b"x").status_code == 404
    assert stranger.client().delete(f"{FILES}/{file_id}").status_code == 404
    assert upload(stranger, "orders.csv", b"theirs").status_code == 201
    assert stored(world) == {"files/orders.csv": CSV}


def test_a_domain_role_does_not_allow_to_upload_because_files_belong_to_the_whole_org(
    world: World,
) -> None:
    with world.scope():
        owner = principal(world, Role.OWNER)
        viewer = membership(world, world.users[Role.VIEWER])
        domain = domains.create(org=world.org, by=owner, name="Sales")
        domains.set_role(
            org=world.org, by=owner, domain_id=domain.pk, member_id=viewer.pk, role=Role.ADMIN
        )
    answer = upload(world, "orders.csv", role="viewer")
    assert answer.status_code == 403
    assert answer.json()["permission"] == Permission.CONNECTORS_EDIT


def client_with_key_of_a_domain(world: World) -> tuple[APIClient, str]:
    """Return a client with an admin's key that is limited to a domain, and the domain's id."""
    with world.scope():
        owner = principal(world, Role.OWNER)
        domain = domains.create(org=world.org, by=owner, name="Sales")
        key = api_keys.create(
            org=world.org, by=owner, name="Sales", role=Role.ADMIN, domain_id=domain.pk
        )
    client = new_client()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key.text}")
    return client, str(domain.pk)


def test_a_key_that_is_limited_to_a_domain_neither_sees_nor_changes_files(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    client, _ = client_with_key_of_a_domain(world)
    assert client.get(FILES).json()["results"] == []
    assert client.get(f"{FILES}/{file_id}").status_code == 404
    assert client.delete(f"{FILES}/{file_id}").status_code == 404
    answer = client.post(f"{FILES}?name=x.csv", CSV, content_type="text/csv")
    assert answer.status_code == 403
    assert stored(world) == {"files/orders.csv": CSV}


@pytest.mark.parametrize("path", ["orders.csv", "*", "**/*.csv"])
def test_a_key_that_is_limited_to_a_domain_does_not_read_files_by_settings(
    world: World, path: str
) -> None:
    upload(world, "orders.csv")
    client, domain_id = client_with_key_of_a_domain(world)
    settings = {"path": path}
    source = {"kind": "files", "config": settings}
    streams = [{"stream": "orders"}]
    saved = {"kind": "files", "role": "source", "name": "F", "domain_id": domain_id}
    pipeline = {"source": source, "destination": {"kind": "logger"}, "streams": streams}
    answers = [
        client.post(f"/api/v1/{address}", body, format="json")
        for address, body in {
            "connectors/check": {"role": "source", "kind": "files", "config": settings},
            "connectors": {**saved, "config": settings},
            "pipelines/preview": {"config": {"source": source, "streams": streams}},
            "pipelines": {"name": "P", "domain_id": domain_id, "config": pipeline},
        }.items()
    ]
    assert [answer.status_code for answer in answers] == [422] * 4
    for answer in answers:
        (error,) = answer.json()["errors"]
        assert error["field"].endswith("config.path")
        assert "does not see the organization's files" in error["message"]
    web = {**saved, "config": {"path": "https://files.example.com/orders.csv"}}
    assert client.post("/api/v1/connectors", web, format="json").status_code == 201


def test_a_key_of_a_domain_changes_a_pipeline_for_which_somebody_else_has_chosen_a_file(
    world: World,
) -> None:
    upload(world, "orders.csv")
    client, domain_id = client_with_key_of_a_domain(world)
    source = {"kind": "files", "config": {"path": "orders.csv"}}
    config = {
        "source": source,
        "destination": {"kind": "logger"},
        "streams": [{"stream": "orders"}],
    }
    body = {"name": "P", "domain_id": domain_id, "config": config}
    made = world.client(Role.ADMIN).post("/api/v1/pipelines", body, format="json")
    assert made.status_code == 201, made.json()
    address = f"/api/v1/pipelines/{made.json()['id']}"
    limits = {"config": {"streams": [{"stream": "orders", "allow_empty": True}]}}
    assert client.patch(address, limits, format="json").status_code == 200
    other = {"config": {"source": {"config": {"path": "*"}}}}
    assert client.patch(address, other, format="json").status_code == 422


def suspend_org(world: World) -> None:
    with world.scope():
        world.org.suspended_at = timezone.now()
        world.org.save(update_fields=["suspended_at"])


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_a_read_only_org_refuses_changes(world: World, method: str) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    suspend_org(world)
    path = f"{FILES}?name=x.csv" if method == "post" else f"{FILES}/{file_id}"
    answer = getattr(world.client(), method)(path, b"x", content_type="text/csv")
    assert answer.status_code == 423
    assert world.client().get(FILES).status_code == 200
    assert stored(world) == {"files/orders.csv": CSV}


def test_an_org_that_becomes_read_only_during_an_upload_keeps_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = uploads.Upload.flush

    def suspend(self: uploads.Upload) -> None:
        receive(self)
        suspend_org(world)

    monkeypatch.setattr(uploads.Upload, "flush", suspend)
    assert upload(world, "orders.csv").status_code == 423
    assert stored(world) == {}


def test_a_member_who_loses_the_role_during_an_upload_stores_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = uploads.Upload.flush

    def demote(self: uploads.Upload) -> None:
        receive(self)
        with world.scope():
            member = membership(world, world.users[Role.MEMBER])
            member.role = Role.VIEWER
            member.save(update_fields=["role"])

    monkeypatch.setattr(uploads.Upload, "flush", demote)
    assert upload(world, "orders.csv").status_code == 403
    assert stored(world) == {}
    assert world.client("owner").get(FILES).json()["results"] == []


# Names.


@pytest.mark.parametrize(
    "name",
    [
        *("../orders.csv", "a/b.csv", "a\\b.csv", ".hidden", "~root", ".", "..", "", "  "),
        *("a*.csv", "a?.csv", "a[1].csv", "a\x00b", "a\nb", "a\u202eb", "a\u200bb"),
        *("x" * 201, "\u00e4" * 121),
    ],
)
def test_a_name_with_folders_wildcards_or_invisible_characters_is_refused(
    world: World, name: str
) -> None:
    from urllib.parse import quote

    answer = upload(world, quote(name, safe=""))
    assert answer.status_code == 400, name
    assert answer.json()["errors"][0]["field"] == "name"
    assert stored(world) == {}


def test_a_name_is_normalized(world: World) -> None:
    assert upload(world, "Au\u0308gen%20 %20(1).csv").json()["name"] == "A\u00fcgen (1).csv"
    assert list(stored(world)) == ["files/A\u00fcgen (1).csv"]


@pytest.mark.parametrize("name", ["orders.csv", "ORDERS.csv"])
def test_a_second_file_of_the_same_name_is_refused(world: World, name: str) -> None:
    upload(world, "orders.csv")
    answer = upload(world, name, b"other")
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert stored(world) == {"files/orders.csv": CSV}


def test_of_two_uploads_of_one_name_the_first_that_is_complete_wins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = uploads.Upload.flush

    def upload_another(self: uploads.Upload) -> None:
        monkeypatch.setattr(uploads.Upload, "flush", receive)
        receive(self)
        assert upload(world, "orders.csv", b"first").status_code == 201

    monkeypatch.setattr(uploads.Upload, "flush", upload_another)
    answer = upload(world, "orders.csv", b"second, and longer")
    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert stored(world) == {"files/orders.csv": b"first"}


def test_a_file_that_somebody_copied_into_the_storage_is_listed_and_not_overwritten(
    world: World,
) -> None:
    path = folder(world) / "files" / "by-hand.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"by hand")
    assert upload(world, "by-hand.csv").json()["code"] == "name_taken"
    assert path.read_bytes() == b"by hand"
    (row,) = world.client().get(FILES).json()["results"]
    assert (row["name"], row["bytes"], row["uploaded_by"]) == ("by-hand.csv", 7, None)


# Replace.


def test_a_replacement_has_a_new_version(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    answer = replace(world, file_id, b"new", HTTP_IF_MATCH='"1"')
    assert answer.status_code == 200, answer.content
    assert (answer.json()["version"], answer.json()["bytes"]) == (2, 3)
    assert stored(world) == {"files/orders.csv": b"new"}
    assert events(world) == [("file.upload", "orders.csv"), ("file.replace", "orders.csv")]


def test_a_replacement_of_another_version_than_the_expected_one_is_refused(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    replace(world, file_id, b"new")
    assert replace(world, file_id, b"newer", HTTP_IF_MATCH='"1"').status_code == 412
    assert stored(world) == {"files/orders.csv": b"new"}


def test_the_old_content_is_there_until_all_of_the_new_content_has_arrived(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    receive, seen = uploads.Upload.flush, []

    def look(self: uploads.Upload) -> None:
        receive(self)
        seen.append(stored(world)["files/orders.csv"])

    monkeypatch.setattr(uploads.Upload, "flush", look)
    replace(world, file_id, b"new")
    assert seen == [CSV]


def test_a_file_that_was_deleted_during_its_replacement_does_not_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    receive = uploads.Upload.flush

    def delete(self: uploads.Upload) -> None:
        receive(self)
        assert world.client().delete(f"{FILES}/{file_id}").status_code == 204

    monkeypatch.setattr(uploads.Upload, "flush", delete)
    assert replace(world, file_id, b"new").status_code == 404
    assert stored(world) == {}


# Delete, and what reads a file.


def make_files_connector(world: World, path: str, name: str) -> Any:
    return make_connector(world, kind="files", name=name, config={"path": path})


def test_a_deleted_file_leaves_nothing(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    assert world.client().delete(f"{FILES}/{file_id}").status_code == 204
    assert world.client().get(FILES).json()["results"] == []
    assert stored(world) == {}
    assert events(world)[-1] == ("file.delete", "orders.csv")


def test_a_file_that_a_connector_or_a_pipeline_names_is_not_deleted(world: World) -> None:
    file_id = upload(world, "orders.csv").json()["id"]
    connector = make_files_connector(world, "orders.csv", "Orders")
    pipeline = make_pipeline(
        world,
        name="Load orders",
        config={
            "source": {"kind": "files", "config": {"path": "orders.csv"}},
            "streams": [{"stream": "orders"}],
            "destination": {"kind": "logger", "config": {}},
        },
    )
    answer = world.client().delete(f"{FILES}/{file_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
    assert answer.json()["used_by"] == [
        {"type": "pipeline", "id": str(pipeline.pk), "name": "Load orders"},
        {"type": "connector", "id": str(connector.pk), "name": "Orders"},
    ]
    assert "the pipeline Load orders, the connector Orders" in answer.json()["detail"]
    assert stored(world) == {"files/orders.csv": CSV}


def test_a_file_that_a_connector_reads_by_a_pattern_is_deleted(world: World) -> None:
    file_id = upload(world, "orders-1.csv").json()["id"]
    connector = make_files_connector(world, "orders-*.csv", "Orders")
    make_files_connector(world, "https://example.com/orders-1.csv", "Elsewhere")
    file = world.client().get(f"{FILES}/{file_id}").json()
    assert file["used_by"] == [
        {"type": "connector", "id": str(connector.pk), "name": "Orders", "by_pattern": True}
    ]
    assert world.client().delete(f"{FILES}/{file_id}").status_code == 204


def test_the_list_needs_the_same_number_of_queries_for_many_files(
    world: World, django_assert_num_queries: Any
) -> None:
    client = world.client()
    client.get(FILES)
    for number in (1, 12):
        for i in range(number):
            upload(world, f"f{number}-{i}.csv")
            make_files_connector(world, f"f{number}-{i}.csv", f"Connector {number} {i}")
        with django_assert_num_queries(9):
            client.get(FILES)
    pages = client.get(f"{FILES}?limit=5&order=name").json()
    assert pages["count"] == 13
    assert len(client.get(f"{FILES}?limit=5&cursor={pages['next']}").json()["results"]) == 5
    assert [row["name"] for row in client.get(f"{FILES}?q=F1-").json()["results"]] == ["f1-0.csv"]


# Limits.


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILE_SIZE", 10)
    answer = upload(world, "orders.csv")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_files_of_an_org_have_a_common_limit(
    world: World, stranger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILES_SIZE_PER_ORG", 100)
    file_id = upload(world, "a.csv", b"x" * 90).json()["id"]
    answer = upload(world, "b.csv", b"x" * 20)
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_reached")
    assert upload(stranger, "b.csv", b"x" * 20).status_code == 201
    assert replace(world, file_id, b"x" * 95).status_code == 200  # the old content is replaced
    answer = world.client().get(f"{FILES}/limits").json()
    assert answer == {"max_file_bytes": settings.FILE_SIZE, "max_bytes": 100, "used_bytes": 95}
    measures = world.client().get("/api/v1/org/usage").json()["limits"]
    assert {"name": "file_bytes", "used": 95, "limit": 100, "state": "warning"} in measures


def test_the_bytes_of_uploads_that_are_not_complete_count_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILES_SIZE_PER_ORG", 100)
    begin_and_forget(world, size=90)
    assert upload(world, "b.csv", b"x" * 20).json()["code"] == "limit_reached"


def begin_and_forget(world: World, *, size: int = 1) -> None:
    with world.scope():
        FileUpload.unscoped.create(
            org=world.org, bytes=size, alive_until=timezone.now() + timedelta(minutes=1)
        )


def test_an_org_has_a_limited_number_of_uploads_at_once(
    world: World, stranger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILE_UPLOADS_PER_ORG_AT_ONCE", 2)
    for _ in range(2):
        begin_and_forget(world)
    answer = upload(world, "a.csv")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    assert answer["Retry-After"]
    assert upload(stranger, "a.csv").status_code == 201
    with world.scope():
        FileUpload.objects.for_org(world.org).update(alive_until=timezone.now())
    assert upload(world, "a.csv").status_code == 201


def test_an_org_begins_a_limited_number_of_uploads_in_a_minute(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILE_UPLOADS_PER_ORG_PER_MINUTE", 2)
    assert [upload(world, f"{i}.csv").status_code for i in range(3)] == [201, 201, 429]


def test_an_org_has_a_limited_number_of_files(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "FILES_PER_ORG", 1)
    assert [upload(world, f"{i}.csv").status_code for i in range(2)] == [201, 409]


# Faults.


def test_a_storage_without_space_keeps_the_old_content(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload(world, "orders.csv").json()["id"]

    def fail(self: Any, target: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    answer = replace(world, file_id, b"new")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    monkeypatch.undo()
    assert stored(world) == {"files/orders.csv": CSV}
    (row,) = world.client().get(FILES).json()["results"]
    assert (row["bytes"], row["version"]) == (len(CSV), 1)
    assert replace(world, file_id, b"new").status_code == 200


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_process_that_ended_while_it_stored_a_file_leaves_what_the_storage_contains(
    world: World, is_stored: bool
) -> None:
    lost = begin_upload(world, "orders.csv")
    lost.open()
    lost.write(b"lost")
    lost.flush()
    with world.scope():
        lost.claim(principal(world, Role.MEMBER))
    if is_stored:
        lost.store()
    answer = upload(world, "orders.csv")
    assert answer.json()["code"] == ("name_taken" if is_stored else "busy")
    expire_everything(world)
    sweeping.clean_up()
    rows = world.client().get(FILES).json()["results"]
    assert [row["bytes"] for row in rows] == ([4] if is_stored else [])
    assert stored(world) == ({"files/orders.csv": b"lost"} if is_stored else {})


def begin_upload(world: World, name: str) -> uploads.Upload:
    with world.scope():
        return uploads.begin(
            org=world.org, by=principal(world, Role.MEMBER), name=name, size=len(b"lost")
        )


def expire_everything(world: World) -> None:
    """Let the lease, the claim and the draft of a lost upload be three hours old."""
    past = timezone.now() - timedelta(hours=3)
    with world.scope():
        FileUpload.objects.for_org(world.org).update(alive_until=past, created_at=past)
        UploadedFile.objects.for_org(world.org).filter(claim__isnull=False).update(
            claimed_until=past
        )
    for path in folder(world).rglob("*"):
        if path.is_file():
            os.utime(path, (past.timestamp(), past.timestamp()))


def test_a_name_whose_upload_was_lost_can_be_used_again(world: World) -> None:
    lost = begin_upload(world, "orders.csv")
    lost.open()
    with world.scope():
        lost.claim(principal(world, Role.MEMBER))
    expire_everything(world)
    assert upload(world, "orders.csv").status_code == 201
    assert stored(world)["files/orders.csv"] == CSV


def test_the_draft_of_a_live_upload_is_not_removed(world: World) -> None:
    begin_and_forget(world)
    live = begin_upload(world, "orders.csv")
    live.open()
    live.write(b"lost")
    sweeping.clean_up()
    live.flush()
    with world.scope():
        live.claim(principal(world, Role.MEMBER))
    live.store()
    with world.scope():
        live.finish(principal(world, Role.MEMBER))
    live.close()
    assert stored(world) == {"files/orders.csv": b"lost"}


def test_an_upload_that_was_given_up_cannot_be_stored(world: World) -> None:
    lost = begin_upload(world, "orders.csv")
    lost.open()
    expire_everything(world)
    sweeping.clean_up()
    with world.scope(), pytest.raises(UploadEnded):
        lost.claim(principal(world, Role.MEMBER))
    lost.close()
    assert stored(world) == {}


def test_an_upload_goes_on_while_the_database_is_not_available(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = begin_upload(world, "orders.csv")

    def fail(*_: Any) -> None:
        raise OperationalError("the database is not available")

    monkeypatch.setattr(limits, "renew", fail)
    live.keep_alive()
    monkeypatch.undo()
    expire_everything(world)
    sweeping.clean_up()
    with pytest.raises(UploadEnded):
        live.keep_alive()
    live.close()


def test_a_repeated_request_with_the_same_key_uploads_once(world: World) -> None:
    key = uuid4().hex
    first = upload(world, "orders.csv", HTTP_IDEMPOTENCY_KEY=key)
    second = upload(world, "orders.csv", HTTP_IDEMPOTENCY_KEY=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"


def test_a_request_without_a_credential_is_refused(world: World) -> None:
    answer = new_client().post(f"{FILES}?name=x.csv", CSV, content_type="text/csv")
    assert answer.status_code == 401
    assert stored(world) == {}


def test_an_erased_org_leaves_no_file(world: World) -> None:
    upload(world, "orders.csv")
    begin_upload(world, "lost.csv").open()
    assert len(stored(world)) == 2
    assert all(eraser(world.org.pk) for eraser in registry.erasers())
    assert stored(world) == {}


def test_the_export_of_an_org_lists_its_files(world: World) -> None:
    upload(world, "orders.csv")
    answer: Any = world.client("owner").get("/api/v1/org/export")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    (line,) = [line for line in lines if json.loads(line)["record"] == "file"]
    assert "orders.csv" in line


def test_a_backup_leaves_out_what_is_not_complete(world: World, tmp_path: Path) -> None:
    upload(world, "orders.csv")
    begin_upload(world, "lost.csv").open()
    backup_files.copy_files(folder(world), tmp_path / "copy")
    copied = [path.name for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert copied == ["orders.csv"]
