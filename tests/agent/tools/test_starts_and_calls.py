"""Tools for what else starts a pipeline, new files and hooks, and for what is called after its runs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from apps.agent.models import Approval
from apps.alerts.follow_ups import services as follow_ups
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.orgs.exceptions import Invalid, NotFound, PermissionMissing
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from apps.pipelines.hooks import services as hooks
from apps.pipelines.models import FileWatch, Hook, Pipeline
from tests.agent.conversing import Talk, begin, thread_messages
from tests.agent.scripted_model import Step, use_script
from tests.agent.tools.use import card, context_of, error_code, use
from tests.world import World, make_pipeline, make_world

SECRET = "hunter2-hunter2-hunter2"
URL_TOKEN = "T0ken-in-the-path"
WEBHOOK = {"url": f"https://hooks.example.com/{URL_TOKEN}", "secret": SECRET}
FILES: dict[str, Any] = {
    "source": {"kind": "files", "config": {"path": "orders.csv"}},
    "streams": [{"stream": "orders"}],
    "destination": {"kind": "logger", "config": {}},
}


def make_hook(world: World, pipeline: Pipeline, name: str = "Shop") -> tuple[Hook, str]:
    with world.scope():
        return hooks.create(
            org=world.org,
            by=context_of(world).by,
            pipeline_id=pipeline.pk,
            name=name,
            credential="token",
        )


def make_follow_up(world: World, pipeline: Pipeline) -> FollowUp:
    with world.scope():
        return follow_ups.create(
            org=world.org,
            by=context_of(world).by,
            pipeline_id=pipeline.pk,
            name="Models",
            kind="webhook",
            settings=WEBHOOK,
            after="success",
        )


def rows_of(world: World, model: Any) -> list[Any]:
    with world.scope():
        return list(model.objects.for_org(world.org))


def last_audit_event(world: World) -> AuditEvent:
    with world.scope():
        found: AuditEvent = AuditEvent.objects.for_org(world.org).order_by("-at", "-id")[0]
        return found


def test_a_pipeline_starts_when_new_files_arrive_after_a_card_with_the_difference(
    world: World,
) -> None:
    pipeline = make_pipeline(world, name="orders", config=FILES)
    arguments: Any = {"pipeline_id": str(pipeline.pk), "enabled": True, "minutes": 10}
    shown: Any = card(world, "set_file_watch", **arguments)
    assert shown["title"] == "Start orders when new files arrive"
    assert shown["changes"] == [
        {"field": "file_watch", "before": False, "after": True},
        {"field": "file_watch_minutes", "before": 5, "after": 10},
    ]
    assert rows_of(world, FileWatch) == []

    assert (
        use(world, "set_file_watch", **arguments).summary == "New files start the pipeline orders."
    )
    (watch,) = rows_of(world, FileWatch)
    assert (watch.enabled, watch.minutes) == (True, 10)
    event = last_audit_event(world)
    assert (event.action, event.actor_kind) == ("pipeline.file_watch", "agent")
    read = use(world, "show_pipeline", pipeline_id=str(pipeline.pk), part="file_watch")
    assert read.content["file_watch"]["minutes"] == 10


def test_a_file_watch_keeps_its_minutes_if_they_are_left_out(world: World) -> None:
    pipeline = make_pipeline(world, config=FILES)
    use(world, "set_file_watch", pipeline_id=str(pipeline.pk), enabled=True, minutes=10)
    use(world, "set_file_watch", pipeline_id=str(pipeline.pk), enabled=False)
    (watch,) = rows_of(world, FileWatch)

    assert (watch.enabled, watch.minutes) == (False, 10)


def test_new_files_cannot_start_a_pipeline_whose_source_has_none(world: World) -> None:
    pipeline = make_pipeline(world)

    with pytest.raises(Invalid, match="has no files to look for"):
        card(world, "set_file_watch", pipeline_id=str(pipeline.pk), enabled=True)


def test_nobody_is_asked_to_approve_a_file_watch_that_changes_nothing(world: World) -> None:
    pipeline = make_pipeline(world, config=FILES)

    with pytest.raises(Invalid, match="nothing would change"):
        card(world, "set_file_watch", pipeline_id=str(pipeline.pk), enabled=False, minutes=5)


def test_a_hook_is_created_without_showing_its_secret_to_the_agent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline(world, name="orders")
    secrets: list[str] = []
    make_secret = hooks._set_new_secret

    def set_and_note(*arguments: Any) -> str:
        secrets.append(make_secret(*arguments))
        return secrets[-1]

    monkeypatch.setattr(hooks, "_set_new_secret", set_and_note)
    arguments: Any = {"pipeline_id": str(pipeline.pk), "name": "Shop", "credential": "signature"}
    shown = card(world, "create_hook", **arguments)
    assert rows_of(world, Hook) == []
    answer = use(world, "create_hook", **arguments)

    (hook,) = rows_of(world, Hook)
    assert answer.content["url"].endswith(f"/api/v1/hooks/{hook.pk}")
    assert (hook.name, hook.credential, hook.enabled) == ("Shop", "signature", True)
    read = use(world, "show_pipeline", pipeline_id=str(pipeline.pk), part="hooks")
    assert [row["name"] for row in read.content["hooks"]] == ["Shop"]
    assert len(secrets) == 2
    for secret in secrets:
        assert secret not in str((shown, answer, read))
        assert secret[-4:] not in str((answer.content, read.content)), "its last characters"
    assert last_audit_event(world).action == "hook.create"


def test_a_hook_is_changed_and_deleted_after_cards_that_change_nothing(world: World) -> None:
    pipeline = make_pipeline(world, name="orders")
    hook, _ = make_hook(world, pipeline)
    ids: Any = {"pipeline_id": str(pipeline.pk), "hook_id": str(hook.pk)}
    shown: Any = card(world, "update_hook", **ids, enabled=False, name="Shop")
    assert shown["changes"] == [{"field": "enabled", "before": True, "after": False}]
    with pytest.raises(Invalid, match="nothing would change"):
        card(world, "update_hook", **ids, enabled=True)
    card(world, "delete_hook", **ids)
    assert [row.enabled for row in rows_of(world, Hook)] == [True]

    assert use(world, "update_hook", **ids, enabled=False).ok
    assert [row.enabled for row in rows_of(world, Hook)] == [False]
    assert use(world, "delete_hook", **ids).summary == "Deleted the hook Shop."
    assert rows_of(world, Hook) == []
    assert last_audit_event(world).action == "hook.delete"


def test_a_call_after_the_runs_is_changed_and_deleted_after_cards_that_change_nothing(
    world: World,
) -> None:
    pipeline = make_pipeline(world, name="orders")
    follow_up = make_follow_up(world, pipeline)
    ids: Any = {"pipeline_id": str(pipeline.pk), "follow_up_id": str(follow_up.pk)}
    shown: Any = card(world, "update_follow_up", **ids, after="end")
    before, after = "After each success", "After each end, also after failures"
    assert shown["changes"] == [{"field": "after", "before": before, "after": after}]
    with pytest.raises(Invalid, match="nothing would change"):
        card(world, "update_follow_up", **ids, enabled=True)
    card(world, "delete_follow_up", **ids)
    assert [row.after for row in rows_of(world, FollowUp)] == ["success"]

    assert use(world, "update_follow_up", **ids, after="end", enabled=False).ok
    assert [(row.after, row.enabled) for row in rows_of(world, FollowUp)] == [("end", False)]
    (stored,) = rows_of(world, FollowUp)
    assert stored.sealed == follow_up.sealed, "the secret is kept"
    assert use(world, "delete_follow_up", **ids).ok
    assert rows_of(world, FollowUp) == []
    assert last_audit_event(world).action == "follow_up.delete"


def test_the_agent_sees_no_path_of_a_webhook_no_secret_and_no_answer_of_a_receiver(
    world: World,
) -> None:
    pipeline = make_pipeline(world)
    follow_up = make_follow_up(world, pipeline)
    with world.scope():
        FollowUpCall.unscoped.create(
            org=world.org, follow_up=follow_up, run_id=uuid4(), payload={}, answer="PRIVATE ANSWER"
        )
    answer = use(world, "show_pipeline", pipeline_id=str(pipeline.pk), part="follow_ups")
    (row,) = answer.content["follow_ups"]

    assert row["settings"]["url"] == "https://hooks.example.com/…"
    assert len(answer.content["newest_calls"]) == 1
    for private in (SECRET, URL_TOKEN, "PRIVATE ANSWER"):
        assert private not in str(answer.content)


@pytest.mark.parametrize(
    ("kind", "settings", "field"),
    [
        ("webhook", WEBHOOK, "settings.secret"),
        ("webhook", {"url": WEBHOOK["url"]}, "settings.url"),
        ("dbt_cloud", {"job_id": 815, "token": SECRET}, "settings.token"),
        ("dbt_cloud", {SECRET: 1}, f"settings.{SECRET}"),
    ],
)
def test_the_form_of_a_call_refuses_secrets_from_the_model_and_does_not_repeat_their_values(
    world: World, kind: str, settings: dict[str, Any], field: str
) -> None:
    pipeline = make_pipeline(world)
    with pytest.raises(Invalid) as raised:
        card(
            world,
            "request_follow_up",
            pipeline_id=str(pipeline.pk),
            kind=kind,
            settings=settings,
        )

    assert field in [name for name, _, _ in raised.value.errors]
    assert URL_TOKEN not in str(raised.value)


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("update_hook", {"enabled": False}),
    ("delete_hook", {}),
    ("update_follow_up", {"enabled": False}),
    ("delete_follow_up", {}),
    ("request_follow_up", {"kind": "webhook"}),
)
each_call = pytest.mark.parametrize(("name", "arguments"), CALLS)


@each_call
def test_a_viewer_may_not_change_hooks_and_calls(
    world: World, name: str, arguments: dict[str, Any]
) -> None:
    ids: Any = _ids(world, name)
    with pytest.raises(PermissionMissing):
        card(world, name, Role.VIEWER, **ids, **arguments)
    if name != "request_follow_up":  # a question, which does nothing by itself
        assert error_code(use(world, name, Role.VIEWER, **ids, **arguments)) == "not_allowed"


@each_call
def test_a_stranger_finds_no_hooks_and_calls(
    world: World, stranger: World, name: str, arguments: dict[str, Any]
) -> None:
    ids: Any = _ids(world, name)
    with pytest.raises(NotFound):
        card(stranger, name, **ids, **arguments)
    if name != "request_follow_up":
        assert error_code(use(stranger, name, **ids, **arguments)) == "not_found"


def _ids(world: World, tool: str) -> dict[str, str]:
    pipeline = make_pipeline(world)
    ids = {"pipeline_id": str(pipeline.pk)}
    if tool.endswith("_hook"):
        ids["hook_id"] = str(make_hook(world, pipeline)[0].pk)
    elif tool != "request_follow_up":
        ids["follow_up_id"] = str(make_follow_up(world, pipeline).pk)
    return ids


@pytest.fixture
def talk(committed_db: None, monkeypatch: pytest.MonkeyPatch) -> Talk:
    """A conversation that waits until the member has filled in the form of a webhook."""
    world = make_world()
    pipeline = make_pipeline(world, name="orders")
    arguments = {"pipeline_id": str(pipeline.pk), "kind": "webhook", "name": "Report"}
    use_script(monkeypatch, Step("", [("request_follow_up", arguments)]), Step("Thanks."))
    talk = begin(world, "call my report after the runs of orders")
    talk.work()
    return talk


def test_the_model_gets_the_facts_of_the_call_that_the_user_has_added_and_no_secret(
    talk: Talk,
) -> None:
    question = talk.open_request()
    form = question["card"]["form"]
    assert form["kind"] == "follow_up"
    values = {**form["values"], "settings": WEBHOOK}
    address = f"/api/v1/pipelines/{form['pipeline_id']}/follow-ups"
    created = talk.client.post(address, values, format="json")
    assert created.status_code == 201, created.json()
    answer = {"follow_up_id": created.json()["id"]}
    response = talk.decide(question["id"], "answer", answer=answer)
    assert response.status_code == 200, response.json()
    talk.work()

    assert talk.turn()["status"] == "done"
    with talk.world.scope():
        stored = Approval.objects.for_org(talk.world.org).get(pk=question["id"])
    assert stored.answer == {**answer, "name": "Report", "kind": "webhook", "after": "success"}
    texts = str((talk.events(), stored.card, stored.answer, thread_messages(talk)))
    assert answer["follow_up_id"] in str(thread_messages(talk))
    for private in (SECRET, URL_TOKEN):
        assert private not in texts


def test_an_answer_with_anything_but_a_call_of_this_pipeline_is_refused(talk: Talk) -> None:
    question, world, stranger = talk.open_request(), talk.world, make_world()
    foreign = make_follow_up(stranger, make_pipeline(stranger))
    of_another_pipeline = make_follow_up(world, make_pipeline(world, name="flights"))
    answers: list[dict[str, Any]] = [
        {"follow_up_id": str(foreign.pk)},
        {"follow_up_id": str(of_another_pipeline.pk)},
        {"follow_up_id": "7"},
        {"secret": SECRET},
        {},
    ]
    for answer in answers:
        response = talk.decide(question["id"], "answer", answer=answer)
        assert response.status_code == 422, answer
        assert SECRET not in response.content.decode()
    assert talk.turn()["status"] == "waiting"
