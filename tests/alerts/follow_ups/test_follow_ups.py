"""After a run, Drover calls a webhook or starts a job of dbt Cloud, and keeps the answers."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.alerts.follow_ups import calls
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.orgs.members import domains
from apps.orgs.models import AuditEvent, Membership
from apps.orgs.principals import SYSTEM
from apps.orgs.roles import Role
from apps.runs import states
from apps.runs.models import Backfill, Run, Status
from tests.alerts.conftest import end_run
from tests.alerts.receiver import Receiver, Reply, running_receiver
from tests.jobs import execute_jobs, fetch_jobs
from tests.runs.test_closed_orgs import update_org
from tests.threads import DatabaseThread
from tests.world import World, make_pipeline, make_world

SECRET = "correct-horse-battery"
TOKEN = "dbtc_0123456789"
DBT_SETTINGS = {"url": "https://cloud.getdbt.com", "account_id": 4711, "job_id": 815}
# What dbt Cloud answers to POST /api/v2/accounts/{account_id}/jobs/{job_id}/run/.
DBT_ANSWER = {
    "status": {"code": 200, "is_success": True, "user_message": "Success!"},
    "data": {"id": 34929305, "job_definition_id": 815, "status": 1, "status_humanized": "Queued"},
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def private_networks(settings: Any) -> None:
    """The receiver listens on loopback."""
    settings.ALLOW_PRIVATE_NETWORKS = True


def path_of(pipeline: Any) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/follow-ups"


def webhook(receiver: Receiver) -> dict[str, Any]:
    return {"kind": "webhook", "settings": {"url": receiver.url, "secret": SECRET}}


def dbt_job(receiver: Receiver) -> dict[str, Any]:
    url = receiver.url.removesuffix("/hook")
    settings = {"url": url, "account_id": 4711, "job_id": 815, "token": TOKEN}
    return {"kind": "dbt_cloud", "settings": settings}


def add(world: World, pipeline: Any, **fields: Any) -> dict[str, Any]:
    answer = world.client(Role.MEMBER).post(path_of(pipeline), {"name": "Models", **fields})
    assert answer.status_code == 201, answer.content
    assert SECRET not in answer.content.decode()
    assert TOKEN not in answer.content.decode()
    follow_up: dict[str, Any] = answer.json()
    return follow_up


def execute_deferred_jobs() -> int:
    return execute_jobs(calls.CALL_TASK)


def log_of(world: World, pipeline: Any) -> list[dict[str, Any]]:
    answer = world.client(Role.MEMBER).get(f"{path_of(pipeline)}/calls")
    assert answer.status_code == 200, answer.content
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def make_due(world: World) -> None:
    with world.scope():
        FollowUpCall.objects.for_org(world.org).update(next_attempt_at=timezone.now())


def test_a_success_calls_a_webhook_with_a_signature(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world, name="Orders")
    add(world, pipeline, **webhook(receiver))

    run = end_run(world, pipeline, Status.SUCCEEDED, records_written=7)
    assert execute_deferred_jobs() == 1

    (request,) = receiver.requests
    body, headers = request.message, request.headers
    assert (body["kind"], body["records_written"]) == ("run_ended", 7)
    assert body["pipeline"]["name"] == "Orders"
    assert (body["run"]["id"], body["run"]["status"]) == (str(run.pk), "succeeded")
    signed = headers["drover-timestamp"].encode() + b"." + request.body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["drover-signature"] == f"v1={digest}"
    (call,) = log_of(world, pipeline)
    assert (call["state"], call["answer_status"], call["answer"]) == ("sent", 200, "ok")
    assert (call["run_id"], call["follow_up"]["name"]) == (str(run.pk), "Models")
    assert headers["drover-message-id"] == call["id"] == body["id"]


def test_a_success_starts_a_job_of_dbt_cloud(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world, name="Orders")
    add(world, pipeline, **dbt_job(receiver))
    receiver.replies = [Reply(200, json.dumps(DBT_ANSWER).encode())]

    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()

    (request,) = receiver.requests
    assert request.path == "/api/v2/accounts/4711/jobs/815/run/"
    assert request.headers["authorization"] == f"Token {TOKEN}"
    assert request.headers["content-type"] == "application/json"
    assert request.message["cause"].startswith("Drover: a run of Orders has succeeded (")
    (call,) = log_of(world, pipeline)
    assert call["state"] == "sent"
    assert "34929305" in call["answer"]


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_only_what_is_called_after_each_end_is_called_without_success(
    world: World, receiver: Receiver, status: Status
) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    add(world, pipeline, **{**webhook(receiver), "name": "Always", "after": "end"})
    end_run(world, pipeline, status)
    execute_deferred_jobs()
    (call,) = log_of(world, pipeline)
    assert call["follow_up"]["name"] == "Always"
    assert receiver.messages[0]["run"]["status"] == status


def test_disabled_ones_and_those_of_other_pipelines_and_backfills_are_not_called(
    world: World, receiver: Receiver
) -> None:
    pipeline, other = make_pipeline(world), make_pipeline(world)
    add(world, other, **webhook(receiver))
    add(world, pipeline, **webhook(receiver), enabled=False)
    end_run(world, pipeline, Status.SUCCEEDED)
    with world.scope():
        backfill = Backfill.unscoped.create(
            org=world.org, pipeline=other, version=1, stream="s", mode="merge", bounds=[None, "1"],
            rows_counted=False,
        )  # fmt: skip
    end_backfill_run(world, other, backfill)
    assert execute_deferred_jobs() == 0
    assert log_of(world, pipeline) == log_of(world, other) == []


def end_backfill_run(world: World, pipeline: Any, backfill: Backfill) -> None:
    with world.scope():
        run = Run.unscoped.create(
            org=world.org, pipeline=pipeline, version=1, status=Status.RUNNING, trigger="backfill",
            backfill=backfill, chunk=0, lease=uuid4(), lease_until=timezone.now(),
        )  # fmt: skip
        assert states.move(
            org_id=world.org.pk,
            run_id=run.pk,
            before=Status.RUNNING,
            after=Status.SUCCEEDED,
            finished_at=timezone.now(),
        )


def test_an_end_that_is_rolled_back_calls_nothing(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))

    with transaction.atomic():
        end_run(world, pipeline, Status.SUCCEEDED)
        transaction.set_rollback(True)
    assert execute_deferred_jobs() == calls.tick() == 0
    assert log_of(world, pipeline) == []


def test_a_run_ends_while_its_follow_up_is_deleted(
    committed_db: None, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world("Deleting")
    pipeline = make_pipeline(world)
    follow_up = add(world, pipeline, **webhook(receiver))
    address = f"{path_of(pipeline)}/{follow_up['id']}"
    statuses: list[int] = []

    def delete() -> None:
        statuses.append(world.client(Role.MEMBER).delete(address).status_code)

    deletion = DatabaseThread(target=delete)
    store = calls._store

    def store_while_it_is_deleted(*arguments: Any) -> FollowUpCall:
        deletion.start()
        while deletion.is_alive() and not is_waiting_for_a_lock():
            time.sleep(0.05)
        return store(*arguments)

    monkeypatch.setattr(calls, "_store", store_while_it_is_deleted)
    run = end_run(world, pipeline, Status.SUCCEEDED)
    deletion.join()
    assert statuses == [204]
    with world.scope():
        assert Run.objects.for_org(world.org).get(pk=run.pk).status == Status.SUCCEEDED
        assert not FollowUpCall.objects.for_org(world.org).exists()


def is_waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        (waiting,) = cursor.fetchone() or (0,)
        return bool(waiting)


def test_a_call_is_repeated_with_its_id_until_it_is_accepted(
    world: World, receiver: Receiver
) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    receiver.replies = [Reply(503, SECRET.encode()), Reply(429), Reply()]
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()

    (call,) = log_of(world, pipeline)
    assert (call["state"], call["problem"]) == ("pending", "The server answered 503.")
    assert call["answer"] == "[secret]"
    assert call["next_attempt_at"] is not None
    assert calls.tick() == 0
    for _ in range(2):
        make_due(world)
        assert calls.tick() == 1
        execute_deferred_jobs()

    (call,) = log_of(world, pipeline)
    assert (call["state"], call["attempts"], call["problem"]) == ("sent", 3, "")
    assert {message["id"] for message in receiver.messages} == {call["id"]}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(401), "The server answered 401."),
        (Reply(302, headers={"Location": "http://10.0.0.1/"}), "a redirect, which is not followed"),
    ],
)
def test_a_call_that_is_refused_is_not_repeated(
    world: World, receiver: Receiver, reply: Reply, problem: str
) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **dbt_job(receiver))
    receiver.replies = [reply]
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    (call,) = log_of(world, pipeline)
    assert call["state"] == "failed"
    assert problem in call["problem"]
    assert len(receiver.requests) == 1


def test_a_private_address_is_not_called(world: World, receiver: Receiver, settings: Any) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    settings.ALLOW_PRIVATE_NETWORKS = False
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    assert receiver.requests == []
    assert log_of(world, pipeline)[0]["state"] != "sent"


def test_slow_receivers_of_an_org_keep_one_worker_and_no_alerts_waiting(
    world: World, stranger: World, receiver: Receiver
) -> None:
    for org in (world, world, world, stranger):
        pipeline = make_pipeline(org)
        add(org, pipeline, **webhook(receiver))
        end_run(org, pipeline, Status.SUCCEEDED)
    assert calls.tick() == 2
    assert calls.tick() == 2

    assert fetch_jobs("alerts") == []
    assert fetch_jobs(calls.QUEUE) == [str(world.org.pk), str(stranger.org.pk)]


def test_the_first_attempts_of_calls_go_before_repeated_ones(
    world: World, receiver: Receiver
) -> None:
    dead, alive = make_pipeline(world, name="Dead"), make_pipeline(world, name="Alive")
    add(world, dead, **webhook(receiver))
    add(world, alive, **webhook(receiver))
    receiver.replies = [Reply(503)]
    end_run(world, dead, Status.SUCCEEDED)
    execute_deferred_jobs()

    end_run(world, alive, Status.SUCCEEDED)
    with world.scope():
        FollowUpCall.objects.for_org(world.org).filter(attempts=1).update(
            next_attempt_at=timezone.now() - timedelta(minutes=1)
        )
    execute_deferred_jobs()
    names = [message["pipeline"]["name"] for message in receiver.messages]
    assert names == ["Dead", "Alive", "Dead"]


def test_a_worker_that_dies_while_it_calls_is_followed_by_another(
    world: World, receiver: Receiver
) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    end_run(world, pipeline, Status.SUCCEEDED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_record", lambda *_: None)
        execute_deferred_jobs()
    assert calls.tick() == 0  # The claim has not ended.
    with world.scope():
        rows = FollowUpCall.objects.for_org(world.org)
        rows.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert calls.tick() == 1
    execute_deferred_jobs()
    assert [message["id"] for message in receiver.messages] == [receiver.messages[0]["id"]] * 2
    assert log_of(world, pipeline)[0]["state"] == "sent"


def test_a_call_does_not_wait_for_a_time_that_a_wrong_clock_has_set(
    world: World, receiver: Receiver
) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    receiver.replies = [Reply(503)]
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    with world.scope():
        rows = FollowUpCall.objects.for_org(world.org)
        rows.update(next_attempt_at=timezone.now() + timedelta(days=365))
    assert calls.tick() == 1
    execute_deferred_jobs()
    assert log_of(world, pipeline)[0]["state"] == "sent"


def test_nothing_is_called_for_a_suspended_org(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    add(world, pipeline, **webhook(receiver))
    end_run(world, pipeline, Status.SUCCEEDED)
    update_org(world, suspended_at=timezone.now())
    execute_deferred_jobs()
    assert (calls.tick(), receiver.requests) == (0, [])
    update_org(world, suspended_at=None)
    assert calls.tick() == 1
    execute_deferred_jobs()
    assert len(receiver.requests) == 1


def test_secrets_are_kept_and_not_sent_to_another_url(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    created = add(world, pipeline, **dbt_job(receiver))
    path = f"{path_of(pipeline)}/{created['id']}"
    client = world.client(Role.MEMBER)
    kept = {**created["settings"], "job_id": 816}
    changed = client.patch(path, {"settings": kept})
    assert changed.status_code == 200, changed.content
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    assert receiver.requests[0].headers["authorization"] == f"Token {TOKEN}"

    moved = client.patch(path, {"settings": {**kept, "url": "https://evil.example.com"}})
    assert moved.status_code == 422
    assert moved.json()["errors"][0]["field"] == "settings.token"
    with world.scope():
        assert (
            FollowUp.objects.for_org(world.org).get().settings["url"] != "https://evil.example.com"
        )


def test_a_change_needs_the_newest_version_and_is_audited(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    created = add(world, pipeline, **webhook(receiver))
    path = f"{path_of(pipeline)}/{created['id']}"
    client = world.client(Role.MEMBER)
    tag = client.get(path)["ETag"]
    assert client.patch(path, {"enabled": False}, headers={"If-Match": tag}).status_code == 200
    assert client.patch(path, {"enabled": True}, headers={"If-Match": tag}).status_code == 412
    with world.scope():
        actions = AuditEvent.objects.for_org(world.org).filter(object_id=UUID(created["id"]))
        assert set(actions.values_list("action", flat=True)) == {
            "follow_up.create",
            "follow_up.update",
        }
    assert client.delete(path).status_code == 204
    assert log_of(world, pipeline) == []


def test_a_test_tells_of_the_newest_run_that_has_ended(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world, name="Orders")
    end_run(world, pipeline, Status.SUCCEEDED)
    newest = end_run(world, pipeline, Status.FAILED)
    created = add(world, pipeline, **webhook(receiver))
    answer = world.client(Role.MEMBER).post(f"{path_of(pipeline)}/{created['id']}/test")
    assert answer.status_code == 202, answer.content
    assert (answer.json()["state"], answer.json()["test"]) == ("pending", True)
    assert execute_deferred_jobs() == 1

    (request,) = receiver.requests
    assert request.message["kind"] == "test"
    assert request.message["run"]["id"] == str(newest.pk)
    (call,) = log_of(world, pipeline)
    assert (call["state"], call["test"], call["id"]) == ("sent", True, answer.json()["id"])
    with world.scope():
        events = AuditEvent.objects.for_org(world.org).filter(action="follow_up.test")
        assert [str(event.object_id) for event in events] == [created["id"]]


def test_a_test_of_a_job_of_dbt_cloud_says_that_it_is_one(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world, name="Orders")
    end_run(world, pipeline, Status.SUCCEEDED)
    created = add(world, pipeline, **dbt_job(receiver))
    world.client(Role.MEMBER).post(f"{path_of(pipeline)}/{created['id']}/test")
    execute_deferred_jobs()
    (request,) = receiver.requests
    assert request.message["cause"].startswith("Drover: a test after a run of Orders has succeeded")


def test_a_test_is_not_repeated_and_waits_once(world: World, receiver: Receiver) -> None:
    """A slow receiver would otherwise keep the other calls of the org waiting."""
    pipeline = make_pipeline(world)
    end_run(world, pipeline, Status.SUCCEEDED)
    created = add(world, pipeline, **webhook(receiver))
    client, path = world.client(Role.MEMBER), f"{path_of(pipeline)}/{created['id']}/test"
    receiver.replies = [Reply(503), Reply()]
    assert client.post(path).status_code == 202
    refused = client.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "still_pending")
    execute_deferred_jobs()
    (call,) = log_of(world, pipeline)
    assert (call["state"], call["problem"]) == ("failed", "The server answered 503.")

    assert client.post(path).status_code == 202
    execute_deferred_jobs()
    assert [call["state"] for call in log_of(world, pipeline)] == ["sent", "failed"]


def test_a_test_needs_an_ended_run_and_an_enabled_call(world: World, receiver: Receiver) -> None:
    pipeline = make_pipeline(world)
    created = add(world, pipeline, **webhook(receiver))
    client, path = world.client(Role.MEMBER), f"{path_of(pipeline)}/{created['id']}"
    refused = client.post(f"{path}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "no_run")
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    client.patch(path, {"enabled": False})
    refused = client.post(f"{path}/test")
    assert (refused.status_code, refused.json()["code"]) == (409, "follow_up_disabled")
    assert len(receiver.requests) == 1


def test_a_viewer_sees_them_without_the_path_of_the_url_and_without_answers(
    world: World, stranger: World, receiver: Receiver
) -> None:
    """The path may contain a credential, as those of incoming webhooks do, and an answer may contain anything."""
    pipeline = make_pipeline(world)
    call = webhook(receiver)
    call["settings"]["url"] += "/T0123/credential?key=credential#credential"
    created = add(world, pipeline, **call)
    receiver.replies = [Reply(503, b"an answer with a credential")]
    end_run(world, pipeline)
    end_run(world, pipeline, Status.SUCCEEDED)
    execute_deferred_jobs()
    one, log = f"{path_of(pipeline)}/{created['id']}", f"{path_of(pipeline)}/calls"

    viewer = world.client(Role.VIEWER)
    for path in (path_of(pipeline), one, log):
        assert "credential" not in viewer.get(path).content.decode()
    shown = viewer.get(one).json()["settings"]
    assert shown["url"] == f"{receiver.url.removesuffix('/hook')}/…"
    assert shown["secret"]["last4"] == SECRET[-4:]
    (row,) = viewer.get(path_of(pipeline)).json()["results"]
    assert row["settings"] == shown
    assert viewer.get(log).json()["results"][0]["problem"] == "The server answered 503."
    assert viewer.post(path_of(pipeline), {"name": "A", **webhook(receiver)}).status_code == 403
    assert viewer.patch(one, {"enabled": False}).status_code == 403
    assert viewer.post(f"{one}/test").status_code == 403

    member = world.client(Role.MEMBER)
    assert member.get(one).json()["settings"]["url"] == call["settings"]["url"]
    assert "credential" in member.get(log).json()["results"][0]["answer"]
    for path in (path_of(pipeline), one, log):
        assert stranger.client(Role.OWNER).get(path).status_code == 404


def test_a_domain_role_shows_the_urls_and_allows_tests_for_the_pipelines_of_its_domain(
    world: World, receiver: Receiver
) -> None:
    with world.scope():
        domain = domains.create(org=world.org, by=SYSTEM, name="Marketing")
        viewer = Membership.objects.for_org(world.org).get(user=world.users[Role.VIEWER])
        domains.set_role(
            org=world.org, by=SYSTEM, domain_id=domain.pk, member_id=viewer.pk, role=Role.MEMBER
        )
    inside, outside = make_pipeline(world, domain_id=domain.pk), make_pipeline(world)
    shown, tested = [], []
    for pipeline in (inside, outside):
        end_run(world, pipeline)
        created = add(world, pipeline, **webhook(receiver))
        client = world.client(Role.VIEWER)
        (row,) = client.get(path_of(pipeline)).json()["results"]
        shown.append(row["settings"]["url"].endswith("/hook"))
        tested.append(client.post(f"{path_of(pipeline)}/{created['id']}/test").status_code)
    assert (shown, tested) == ([True, False], [202, 403])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "dbt_cloud", "settings": {"url": "https://cloud.getdbt.com"}}, "account_id"),
        ({"kind": "webhook", "settings": {"url": "ftp://x", "secret": SECRET}}, "url"),
        (
            {"kind": "webhook", "settings": {"url": "https://x.example.com", "secret": "a"}},
            "secret",
        ),
        # A header cannot have these: the call would fail with an error of Python, and never be made.
        ({"kind": "dbt_cloud", "settings": {**DBT_SETTINGS, "token": "dbtc_0123…"}}, "token"),
        ({"kind": "dbt_cloud", "settings": {**DBT_SETTINGS, "token": "dbtc_01\nHost: x"}}, "token"),
    ],
)
def test_invalid_settings_name_their_field(
    world: World, fields: dict[str, Any], field: str
) -> None:
    answer = world.client(Role.MEMBER).post(
        path_of(make_pipeline(world)), {"name": "Models", **fields}
    )
    assert answer.status_code == 422
    assert f"settings.{field}" in {error["field"] for error in answer.json()["errors"]}
