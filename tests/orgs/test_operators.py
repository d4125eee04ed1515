"""The operators' pages: staff only, reading only, every look written down, nothing secret shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from apps.auth.models import User
from apps.orgs.models import AuditEvent
from apps.orgs.operators import NEVER_SHOWN, OperatorAdmin
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests.isolation.planted import Planted, plant

PASSWORD = "correct horse battery staple"


@pytest.fixture
def planted(committed_db: None) -> Planted:
    """Committed, because operators read by another role and so by another connection."""
    return plant()


@pytest.fixture
def operator(committed_db: None) -> Client:
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    client = Client()
    answer = client.post("/operators/login/", {"username": "op@example.com", "password": PASSWORD})
    assert answer.status_code == 302
    return client


def pages() -> list[Any]:
    return [pytest.param(model, id=model._meta.label) for model in admin.site._registry]


def test_every_registered_model_is_read_only() -> None:
    assert admin.site._registry
    for model, page in admin.site._registry.items():
        assert isinstance(page, OperatorAdmin), model


def test_an_operator_sees_lists_and_objects_and_each_look_is_in_the_orgs_trail(
    planted: Planted, operator: Client
) -> None:
    assert planted.canary in operator.get("/operators/orgs/org/").content.decode()
    pipeline = planted["pipeline"]
    page = operator.get(f"/operators/pipelines/pipeline/{pipeline}/change/")
    assert planted.canary in page.content.decode()
    with planted.world.scope():
        events = AuditEvent.objects.for_org(planted.world.org).filter(actor_kind="operator")
        found = list(events.order_by("id").values_list("action", "object_kind", "object_id"))
        assert found[0] == ("operator.list", "org", None)
        assert [str(part) for part in found[-1]] == ["operator.view", "pipeline", pipeline]
        assert {event.actor_label for event in events} == {"op@example.com"}


def test_the_list_of_runs_names_their_pipelines(planted: Planted, operator: Client) -> None:
    with planted.world.scope():
        pipeline = Pipeline.objects.for_org(planted.world.org).get(pk=planted["pipeline"])
    assert pipeline.name in operator.get("/operators/runs/run/").content.decode()


@pytest.mark.parametrize("model", pages())
def test_every_page_opens_and_shows_nothing_that_seals_or_proves(
    planted: Planted, operator: Client, model: Any
) -> None:
    path = f"/operators/{model._meta.app_label}/{model._meta.model_name}/"
    assert operator.get(path).status_code == 200
    rows = getattr(model, "unscoped", model._default_manager)
    row = rows.using("ops").first()
    if row is None:
        return
    shown = operator.get(f"{path}{row.pk}/change/").content.decode()
    for field in model._meta.concrete_fields:
        value = getattr(row, field.attname)
        if field.name in NEVER_SHOWN and isinstance(value, str) and value:
            assert value not in shown, field.name


@pytest.mark.parametrize(
    "path",
    [
        "identity/user/?password__startswith=bcrypt",
        "orgs/org/?data_key__startswith=g",
        "orgs/apikey/?hash__startswith=$2b$",
        "orgs/membership/?user__password__startswith=bcrypt",
    ],
)
def test_what_is_never_shown_cannot_be_guessed_by_filtering(
    planted: Planted, operator: Client, path: str
) -> None:
    answer = operator.get(f"/operators/{path}")
    assert answer.status_code == 400
    assert planted.canary not in answer.content.decode()


def test_nothing_can_be_changed_there(planted: Planted, operator: Client) -> None:
    base = f"/operators/pipelines/pipeline/{planted['pipeline']}"
    assert operator.post(f"{base}/change/", {"name": "mine"}).status_code == 403
    assert operator.post(f"{base}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get("/operators/pipelines/pipeline/add/").status_code == 403


@pytest.mark.parametrize("who", ["nobody", "owner"])
def test_members_and_strangers_are_sent_to_the_log_in(planted: Planted, who: str) -> None:
    client = Client()
    if who == "owner":
        owner = planted.world.users[Role.OWNER]
        client.post("/operators/login/", {"username": owner.email, "password": PASSWORD})
    answer = client.get("/operators/orgs/org/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/operators/login/")


def test_guessing_an_operators_password_is_slowed_down(operator: Client) -> None:
    guess = {"username": "op@example.com", "password": "guess"}
    for _ in range(5):
        Client().post("/operators/login/", guess)
    answer = Client().post("/operators/login/", {**guess, "password": PASSWORD})
    assert answer.status_code == 200  # the form again
    assert Client().get("/operators/").status_code == 302


def test_the_pages_keep_the_strict_policy(operator: Client) -> None:
    answer = operator.get("/operators/")
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert "<script>" not in answer.content.decode()
    assert "style=" not in answer.content.decode()


def test_every_room_of_ours_has_its_pages() -> None:
    rooms = {config.label for config in apps.get_app_configs() if config.name.startswith("apps.")}
    assert rooms <= {model._meta.app_label for model in admin.site._registry}
