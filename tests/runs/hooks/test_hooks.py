"""Programs start a pipeline with a hook: a secret address that answers strangers as if it did not exist."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.orgs import vault
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.pipelines.hooks.services import remove_old_calls
from apps.pipelines.models import Hook, HookCall, Pipeline
from apps.runs.hooks import calls
from apps.runs.models import Run, Trigger
from tests.runs.claiming.test_blackouts import today
from tests.runs.claiming.test_scheduling import create_schedule
from tests.runs.conftest import make_pipeline
from tests.runs.test_closed_orgs import update_org
from tests.threads import DatabaseThread
from tests.world import World, make_world, new_client

BODY = b'{"order": 7}'


def hooks_of(pipeline: Any) -> str:
    return f"/api/v1/pipelines/{pipeline.pk}/hooks"


def add_hook(world: World, pipeline: Any, name: str = "Shop", **fields: Any) -> dict[str, Any]:
    answer = world.client(Role.MEMBER).post(hooks_of(pipeline), {"name": name, **fields})
    assert answer.status_code == 201, answer.content
    hook: dict[str, Any] = answer.json()
    return hook


def send(hook: dict[str, Any], body: bytes = BODY, **headers: str) -> Any:
    """Call the hook without an account."""
    path = "/api/v1/" + hook["url"].partition("/api/v1/")[2]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return new_client().generic("POST", path, body.decode(), "application/json", headers=named)


def send_token(hook: dict[str, Any], **headers: Any) -> Any:
    return send(hook, Drover_Token=hook["secret"], **headers)


def signed(secret: str, at: float | str | None = None, body: bytes = BODY) -> dict[str, Any]:
    timestamp = at if isinstance(at, str) else str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return {"Drover_Timestamp": timestamp, "Drover_Signature": f"v1={digest.hexdigest()}"}


def end_runs(world: World) -> None:
    with world.scope():
        rows = Run.objects.for_org(world.org).filter(status="pending")
        rows.update(status="cancelled", finished_at=timezone.now())


def count_runs(world: World) -> int:
    with world.scope():
        return Run.objects.for_org(world.org).count()


def test_a_call_with_the_secret_starts_a_run(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)

    answer = send_token(hook)

    assert answer.status_code == 202, answer.content
    assert answer.json()["repeated"] is False
    with world.scope():
        run = Run.objects.for_org(world.org).get(pk=answer.json()["run_id"])
        event = AuditEvent.objects.for_org(world.org).get(action="run.start")
    assert (run.trigger, run.pipeline_id) == (Trigger.HOOK, pipeline.pk)
    assert event.actor_label == "Hook Shop"
    (row,) = world.client(Role.VIEWER).get(hooks_of(pipeline)).json()["results"]
    assert row["last_used_at"]
    assert row["secret_last4"] == hook["secret"][-4:]
    assert hook["secret"] not in str(row)


def test_a_signed_call_starts_a_run_and_cannot_be_replayed(world: World) -> None:
    hook = add_hook(world, make_pipeline(world), credential="signature")
    headers = signed(hook["secret"])

    assert send(hook, **headers).status_code == 202
    end_runs(world)
    replayed = send(hook, **headers)
    with_other_key = send(hook, Idempotency_Key="other", **headers)

    assert (replayed.status_code, replayed.json()["code"]) == (409, "replayed")
    assert with_other_key.status_code == 409
    assert count_runs(world) == 1


def test_a_repeated_key_returns_the_same_run(world: World) -> None:
    hook = add_hook(world, make_pipeline(world))
    other = add_hook(world, make_pipeline(world))
    first = send_token(hook, Idempotency_Key="order 7")
    end_runs(world)

    again = send_token(hook, Idempotency_Key="order 7")

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == {"run_id": first.json()["run_id"], "repeated": True}
    assert send_token(hook, Idempotency_Key="order 8").status_code == 202
    assert send_token(other, Idempotency_Key="order 7").status_code == 202
    assert count_runs(world) == 3


def test_a_signed_call_that_is_retried_with_its_key_returns_the_same_run(world: World) -> None:
    hook = add_hook(world, make_pipeline(world), credential="signature")
    first = send(hook, Idempotency_Key="7", **signed(hook["secret"]))
    again = send(hook, Idempotency_Key="7", **signed(hook["secret"], time.time() - 60))
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["run_id"] == first.json()["run_id"]


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_or_early_signature_is_refused(world: World, seconds: int) -> None:
    hook = add_hook(world, make_pipeline(world), credential="signature")
    refused = send(hook, **signed(hook["secret"], time.time() + seconds))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "Drover-Timestamp"
    assert send(hook, **signed(hook["secret"], time.time() - 240)).status_code == 202


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "9" * 5000, "1e9"])
def test_a_time_stamp_that_is_no_time_is_refused(world: World, timestamp: str) -> None:
    hook = add_hook(world, make_pipeline(world), credential="signature")
    refused = send(hook, **signed(hook["secret"], timestamp))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "Drover-Timestamp")


def wrong_calls(hook: dict[str, Any], signature_hook: dict[str, Any]) -> dict[str, Any]:
    """Return the answers to calls without the right credential, by what is wrong with them."""
    unknown = {**hook, "url": hook["url"][:-36] + str(uuid4())}
    secret = signature_hook["secret"]
    return {
        "no credential": send(hook),
        "wrong token": send(hook, Drover_Token="drvh_wrong"),
        "a token that is not ASCII": send(hook, Drover_Token="é"),
        "empty token": send(hook, Drover_Token=""),
        "signature for a token": send(hook, **signed(hook["secret"])),
        "token for a signature": send(signature_hook, Drover_Token=secret),
        "wrong signature": send(signature_hook, **signed("wrong")),
        "signature of another body": send(signature_hook, b"{}", **signed(secret)),
        "signature of another time": send(
            signature_hook, **{**signed(secret), "Drover_Timestamp": str(int(time.time()) - 9)}
        ),
        "another hook's token": send(signature_hook, Drover_Token=hook["secret"]),
        "unknown hook": send(unknown, Drover_Token=hook["secret"]),
    }


def test_strangers_learn_nothing(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    answers = wrong_calls(hook, add_hook(world, pipeline, "Signed", credential="signature"))
    bodies = {
        name: (
            answer.status_code,
            answer.content.replace(answer.headers["X-Request-ID"].encode(), b""),
        )
        if "X-Request-ID" in answer.headers
        else (answer.status_code, answer.content)
        for name, answer in answers.items()
    }
    assert len(set(bodies.values())) == 1, bodies
    assert next(iter(bodies.values()))[0] == 404
    assert count_runs(world) == 0
    with world.scope():
        assert not Hook.objects.for_org(world.org).exclude(last_used_at=None).exists()


def test_an_unknown_hook_takes_the_same_work_as_a_wrong_secret(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = add_hook(world, make_pipeline(world))
    unknown = {**hook, "url": hook["url"][:-36] + str(uuid4())}
    work: list[str] = []
    real_unseal, real_digest = vault.unseal, hmac.compare_digest

    def unseal(*arguments: Any) -> Any:
        work.append("unseal")
        return real_unseal(*arguments)

    def compare(*arguments: Any) -> bool:
        work.append("compare")
        return real_digest(*arguments)

    calls._made_up()
    monkeypatch.setattr(vault, "unseal", unseal)
    monkeypatch.setattr(calls.hmac, "compare_digest", compare)  # type: ignore[attr-defined]
    done = []
    for one in (hook, unknown):
        work.clear()
        with CaptureQueriesContext(connection) as queries:
            assert send(one, Drover_Token="wrong").status_code == 404
        statements = [
            re.sub(r"'[^']+'|s[0-9]+_x[0-9]+", "", query["sql"])
            for query in queries.captured_queries
        ]
        done.append((statements, list(work)))
    assert done[0] == done[1]
    assert done[0][1] == ["unseal", "compare", "compare"]


def test_a_disabled_hook_and_a_disabled_pipeline_say_so_to_their_sender(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    client = world.client(Role.MEMBER)
    client.patch(f"{hooks_of(pipeline)}/{hook['id']}", {"enabled": False})
    refused = send_token(hook)
    assert (refused.status_code, "hook is disabled" in refused.json()["detail"]) == (423, True)
    client.patch(f"{hooks_of(pipeline)}/{hook['id']}", {"enabled": True})
    with world.scope():
        Pipeline.objects.for_org(world.org).update(enabled=False)
    refused = send_token(hook)
    assert (refused.status_code, "pipeline is disabled" in refused.json()["detail"]) == (423, True)
    assert send(hook, Drover_Token="wrong").status_code == 404


def test_a_call_within_a_blackout_is_refused_with_its_end(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    create_schedule(world, pipeline, blackouts=[today()], next_run_at=None)

    answer = send_token(hook)

    assert answer.status_code == 423, answer.content
    assert "has a blackout until " in answer.json()["detail"]
    assert count_runs(world) == 0


def test_a_suspended_org_starts_nothing(world: World) -> None:
    hook = add_hook(world, make_pipeline(world))
    update_org(world, suspended_at=timezone.now(), suspended_because="Unpaid.")
    assert send_token(hook).status_code == 423
    assert count_runs(world) == 0


def test_a_call_while_the_pipeline_runs_names_the_run_and_may_be_sent_again(world: World) -> None:
    hook = add_hook(world, make_pipeline(world))
    first = send_token(hook, Idempotency_Key="1")
    refused = send_token(hook, Idempotency_Key="2")
    assert (refused.status_code, refused.json()["run_id"]) == (409, first.json()["run_id"])
    end_runs(world)
    assert send_token(hook, Idempotency_Key="2").status_code == 202


def test_a_sender_that_calls_too_often_has_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "CALLS_PER_MINUTE", 3)
    hook, other = (add_hook(world, make_pipeline(world)) for _ in range(2))
    statuses = [send_token(hook, Idempotency_Key="1").status_code for _ in range(4)]
    assert statuses == [202, 200, 200, 429]
    refused = send_token(hook)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert send_token(other).status_code == 202
    assert send(hook, Drover_Token="wrong").status_code == 404
    with world.scope():
        Hook.objects.for_org(world.org).update(minute_began_at=timezone.now() - calls.TOLERANCE)
    assert send_token(hook, Idempotency_Key="1").status_code == 200


def test_a_renewed_secret_replaces_the_old_one(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    answer = world.client().post(f"{hooks_of(pipeline)}/{hook['id']}/rotate", {})
    assert answer.status_code == 200
    assert send_token(hook).status_code == 404
    assert send_token(answer.json()).status_code == 202


def test_old_keys_are_forgotten(world: World) -> None:
    hook = add_hook(world, make_pipeline(world))
    send_token(hook, Idempotency_Key="1")
    end_runs(world)
    remove_old_calls()
    assert send_token(hook, Idempotency_Key="1").status_code == 200
    with world.scope():
        rows = HookCall.objects.for_org(world.org)
        rows.update(created_at=timezone.now() - calls.TOLERANCE * 300)
    remove_old_calls()
    assert send_token(hook, Idempotency_Key="1").status_code == 202


def test_the_same_call_at_the_same_moment_starts_one_run(committed_db: None) -> None:
    world = make_world()
    hook = add_hook(world, make_pipeline(world))
    barrier = threading.Barrier(4)
    answers: list[Any] = []

    def call() -> None:
        barrier.wait()
        answers.append(send_token(hook, Idempotency_Key="once"))

    threads = [DatabaseThread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert len({answer.json()["run_id"] for answer in answers}) == 1
    assert count_runs(world) == 1


def test_viewers_see_hooks_and_strangers_do_not(world: World) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    path = f"{hooks_of(pipeline)}/{hook['id']}"
    viewer, stranger = world.client(Role.VIEWER), make_world("Other").client(Role.OWNER)
    assert viewer.get(path).status_code == 200
    assert stranger.get(path).status_code == 404
    elsewhere = f"{hooks_of(make_pipeline(world))}/{hook['id']}"
    assert viewer.get(elsewhere).status_code == 404
    for method, address, body in (
        ("post", hooks_of(pipeline), {"name": "Mine"}),
        ("patch", path, {"enabled": False}),
        ("post", f"{path}/rotate", {}),
        ("delete", path, None),
    ):
        assert getattr(viewer, method)(address, body).status_code == 403
        assert getattr(stranger, method)(address, body).status_code == 404
    assert world.client().delete(path).status_code == 204
    assert send_token(hook).status_code == 404


def test_names_and_numbers_of_hooks_are_limited(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world)
    hook = add_hook(world, pipeline)
    client = world.client()
    taken = client.post(hooks_of(pipeline), {"name": "SHOP"})
    assert (taken.status_code, taken.json()["code"]) == (409, "name_taken")
    unknown = client.post(hooks_of(pipeline), {"name": "X", "credential": "cookie"})
    assert unknown.json()["errors"][0]["field"] == "credential"
    monkeypatch.setattr("apps.pipelines.hooks.services.MAX_HOOKS", 1)
    assert client.post(hooks_of(pipeline), {"name": "X"}).json()["code"] == "too_many_hooks"
    path = f"{hooks_of(pipeline)}/{hook['id']}"
    old = client.get(path).headers["ETag"]
    assert client.patch(path, {"name": "New"}, headers={"If-Match": old}).status_code == 200
    assert client.patch(path, {"name": "Newer"}, headers={"If-Match": old}).status_code == 412
    long_key = send_token(hook, Idempotency_Key="x" * 201)
    assert long_key.json()["errors"][0]["field"] == "Idempotency-Key"
