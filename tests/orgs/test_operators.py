"""The operators' site: staff only, read-only, every access recorded, no secrets shown."""

from __future__ import annotations

import re
import time
from typing import Any

import psycopg
import pytest
from allauth.mfa.totp.internal import auth as totp
from django.apps import apps
from django.contrib import admin
from django.db import ProgrammingError
from django.test import Client
from django.utils import timezone

from apps.auth import factors, sessions
from apps.auth.models import User
from apps.engine.sandbox import layers
from apps.orgs.models import AuditEvent, Org, SupportAccess
from apps.orgs.operators.site import HIDDEN_FIELDS, OperatorAdmin
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline
from tests import database
from tests.isolation.planted import Planted, plant

PASSWORD = "correct horse battery staple"


@pytest.fixture
def planted(committed_db: None) -> Planted:
    """Committed, because operators use another role and so another connection."""
    return plant()


def log_in(client: Client) -> None:
    """Log in with the password; the second factor is still missing."""
    answer = client.post("/operators/login/", {"username": "op@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def set_up_factor(client: Client) -> list[str]:
    """Set up an authenticator app in the browser; returns the recovery codes."""
    page = client.get("/operators/second-factor/").content.decode()
    (secret,) = re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    (challenge,) = re.findall(r'name="challenge" value="([^"]+)"', page)
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    done = client.post("/operators/second-factor/", {"challenge": challenge, "code": code})
    return re.findall(r"<code>(\d{12})</code>", done.content.decode())


@pytest.fixture
def entering(committed_db: None) -> Client:
    """An operator who has entered the password."""
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    client = Client()
    log_in(client)
    return client


@pytest.fixture
def operator(entering: Client, planted: Planted) -> Client:
    """An operator with access to the planted org."""
    set_up_factor(entering)
    look_at(entering, planted.world.org)
    return entering


def look_at(client: Client, org: Org, reason: str = "The customer asked about a run.") -> None:
    answer = client.post(f"/operators/orgs/org/{org.pk}/access/", {"reason": reason})
    assert answer.status_code == 302, answer.content


def test_every_registered_model_is_read_only() -> None:
    assert admin.site._registry
    for model, page in admin.site._registry.items():
        assert isinstance(page, OperatorAdmin), model


def test_an_operators_access_is_in_the_orgs_audit_log(planted: Planted, operator: Client) -> None:
    assert planted.canary in operator.get("/operators/orgs/org/").content.decode()
    pipeline = planted["pipeline"]
    page = operator.get(f"/operators/pipelines/pipeline/{pipeline}/change/")
    assert planted.canary in page.content.decode()
    with planted.world.scope():
        events = AuditEvent.objects.for_org(planted.world.org).filter(actor_kind="operator")
        found = list(events.order_by("id").values_list("action", "object_kind", "object_id"))
        assert found[0][0] == "operator.access"
        assert ("operator.list", "org", None) in found
        assert [str(part) for part in found[-1]] == ["operator.view", "pipeline", pipeline]
        assert {event.actor_label for event in events} == {"op@example.com"}


def test_the_list_of_runs_names_their_pipelines(planted: Planted, operator: Client) -> None:
    with planted.world.scope():
        pipeline = Pipeline.objects.for_org(planted.world.org).get(pk=planted["pipeline"])
    assert pipeline.name in operator.get("/operators/runs/run/").content.decode()


def test_every_page_opens_and_shows_nothing_that_seals_or_proves(operator: Client) -> None:
    sealed = set()
    for model in admin.site._registry:
        path = f"/operators/{model._meta.app_label}/{model._meta.model_name}/"
        assert operator.get(path).status_code == 200, path
        rows: Any = getattr(model, "unscoped", model._default_manager)
        row = rows.using("ops").first()
        if row is None:
            continue
        shown = operator.get(f"{path}{row.pk}/change/").content.decode()
        for field in model._meta.concrete_fields:
            value = getattr(row, field.attname)
            if field.name in HIDDEN_FIELDS and isinstance(value, str) and value:
                assert value not in shown, (path, field.name)
                sealed.add(field.name)
    assert {"password", "hash"} <= sealed


def test_what_is_never_shown_cannot_be_guessed_by_filtering(
    planted: Planted, operator: Client
) -> None:
    for path in (
        "identity/user/?password__startswith=bcrypt",
        "orgs/org/?data_key__startswith=g",
        "orgs/apikey/?hash__startswith=$2b$",
        "orgs/membership/?user__password__startswith=bcrypt",
    ):
        answer = operator.get(f"/operators/{path}")
        assert answer.status_code == 400, path
        assert planted.canary not in answer.content.decode(), path


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
    ours = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
    rooms = {config.label for config in ours if any(config.get_models())}
    assert rooms <= {model._meta.app_label for model in admin.site._registry}


class TestTheSecondFactor:
    def test_the_password_alone_opens_nothing(self, entering: Client) -> None:
        for path in ("/operators/", "/operators/orgs/org/", "/operators/identity/user/"):
            assert entering.get(path).status_code == 302
        led = entering.get("/operators/login/")
        assert led["Location"] == "/operators/second-factor/"

    def test_setting_an_app_up_shows_recovery_codes_and_lets_in(self, entering: Client) -> None:
        codes = set_up_factor(entering)
        assert len(codes) == 10
        assert entering.get("/operators/").status_code == 200
        again = Client()
        log_in(again)
        assert again.get("/operators/").status_code == 302
        page = again.get("/operators/second-factor/").content.decode()
        assert (
            "authenticator app, then" not in page
        )  # nobody can set up a second app with only the password
        again.post("/operators/second-factor/", {"code": "000000"})
        assert again.get("/operators/").status_code == 302
        again.post("/operators/second-factor/", {"code": codes[0]})
        assert again.get("/operators/").status_code == 200

    @pytest.mark.parametrize("change", ["factors", "sessions"])
    def test_a_log_in_here_ends_where_all_others_end(self, operator: Client, change: str) -> None:
        user = User.objects.get(is_staff=True)
        assert operator.get("/operators/").status_code == 200
        if change == "factors":
            factors.reset(user)
        else:
            sessions.end_all(user.pk, reason="logged out everywhere")
        assert operator.get("/operators/").status_code == 302

    def test_a_wrong_first_code_can_be_tried_again(self, entering: Client) -> None:
        page = entering.get("/operators/second-factor/").content.decode()
        (challenge,) = re.findall(r'name="challenge" value="([^"]+)"', page)
        body = {"challenge": challenge, "code": "000000"}
        wrong = entering.post("/operators/second-factor/", body).content.decode()
        assert "wrong" in wrong
        assert challenge in wrong

    def test_strangers_are_sent_to_the_log_in(self, committed_db: None) -> None:
        answer = Client().get("/operators/second-factor/")
        assert answer["Location"].startswith("/operators/login/")


class TestLookingAtAnOrg:
    def test_takes_a_reason_that_its_owners_read(self, planted: Planted, entering: Client) -> None:
        set_up_factor(entering)
        path = f"/operators/pipelines/pipeline/{planted['pipeline']}/change/"
        listed = "/operators/pipelines/pipeline/"
        assert planted.canary not in entering.get(listed).content.decode()
        assert entering.get(path).status_code == 302  # there is no such object
        short = entering.post(
            f"/operators/orgs/org/{planted.world.org.pk}/access/", {"reason": "why"}
        )
        assert short.status_code == 200
        look_at(entering, planted.world.org, "Ticket 4711: a run hangs.")
        assert planted.canary in entering.get(path).content.decode()
        trail = planted.world.client("owner").get("/api/v1/org/audit").json()["results"]
        (asked,) = [event for event in trail if event["action"] == "operator.access"]
        assert asked["changes"] == {"reason": [None, "Ticket 4711: a run hangs."]}
        assert asked["actor_label"] == "op@example.com"

    def test_opens_that_org_only_and_ends(self, planted: Planted, operator: Client) -> None:
        other = plant()
        listed = "/operators/connectors/connector/"
        shown = operator.get(listed).content.decode()
        assert planted.canary in shown
        assert other.canary not in shown
        with planted.world.scope():
            SupportAccess.objects.for_org(planted.world.org).update(until=timezone.now())
        assert planted.canary not in operator.get(listed).content.decode()

    def test_is_the_operators_own(self, planted: Planted, operator: Client) -> None:
        User.objects.create_user(email="second@example.com", password=PASSWORD, is_staff=True)
        second = Client()
        second.post("/operators/login/", {"username": "second@example.com", "password": PASSWORD})
        set_up_factor(second)
        shown = second.get("/operators/pipelines/pipeline/").content.decode()
        assert planted.canary not in shown


def test_the_first_page_shows_the_isolation_of_custom_code(operator: Client) -> None:
    shown = operator.get("/operators/").content.decode()
    assert f"Isolation of custom code: {layers.choose_isolation().level}" in shown


@pytest.mark.parametrize(
    ("held", "page"),
    [("orgs_org", "orgs/org/{org}/suspend/"), ("django_session", "login/")],
    ids=["in a view", "in a middleware"],
)
def test_a_page_that_cannot_get_a_lock_says_when_to_retry(
    planted: Planted, operator: Client, held: str, page: str
) -> None:
    operator.raise_request_exception = False
    sent = {"reason": "Sends spam.", "username": "op@example.com", "password": PASSWORD}
    if page == "login/":
        operator.cookies.clear()
    with psycopg.connect(database.url_of(database.worker_database())) as other:
        other.execute(f"LOCK TABLE {held} IN EXCLUSIVE MODE")
        path = f"/operators/{page.format(org=planted.world.org.pk)}"
        answer = operator.post(path, sent)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "2")
    assert answer.json()["code"] == "busy"


def test_a_mistake_of_ours_on_a_page_stays_a_500(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ProgrammingError("no such column")

    operator.raise_request_exception = False
    monkeypatch.setattr(layers, "choose_isolation", broken)
    answer = operator.get("/operators/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


class TestSuspending:
    def test_and_resuming_with_a_reason(self, planted: Planted, operator: Client) -> None:
        world = planted.world
        base = f"/operators/orgs/org/{world.org.pk}"
        assert "Suspend" in operator.get(f"{base}/change/").content.decode()
        operator.post(f"{base}/suspend/", {"reason": "Sends spam through webhooks."})
        client = world.client("owner")
        refused = client.post("/api/v1/org/domains", {"name": "x"})
        assert (refused.status_code, refused.json()["code"]) == (423, "org_suspended")
        assert "Resume" in operator.get(f"{base}/change/").content.decode()
        operator.post(f"{base}/resume/", {"reason": "They have explained."})
        assert client.post("/api/v1/org/domains", {"name": "x"}).status_code == 201
        trail = client.get("/api/v1/org/audit").json()["results"]
        actions = [event["action"] for event in trail]
        assert actions.index("operator.resume") < actions.index("operator.suspend")

    def test_takes_a_post_with_a_token_from_the_page(self, planted: Planted) -> None:
        client = Client(enforce_csrf_checks=True)
        path = f"/operators/orgs/org/{planted.world.org.pk}/suspend/"
        answer = client.post(path, {"reason": "because I say so"})
        assert answer.status_code == 403
        with planted.world.scope():
            assert Org.objects.get(pk=planted.world.org.pk).suspended_at is None

    def test_members_cannot(self, planted: Planted) -> None:
        client = Client()
        owner = planted.world.users[Role.OWNER]
        client.post("/operators/login/", {"username": owner.email, "password": PASSWORD})
        path = f"/operators/orgs/org/{planted.world.org.pk}/suspend/"
        assert client.post(path, {"reason": "because I say so"}).status_code == 302
        with planted.world.scope():
            assert Org.objects.get(pk=planted.world.org.pk).suspended_at is None


def test_the_queue_and_its_workers_have_pages(operator: Client) -> None:
    for path in ("procrastinate/procrastinatejob/", "procrastinate/procrastinateworker/"):
        assert operator.get(f"/operators/{path}").status_code == 200
