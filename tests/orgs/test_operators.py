"""The operators' site is for operators only, is read-only, audits every access, and shows no secrets."""

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
from tests.isolation.planted import PlantedOrg, plant

PASSWORD = "correct horse battery staple"


@pytest.fixture
def planted(committed_db: None) -> PlantedOrg:
    """Committed rows, because operators use another database role and so another connection."""
    return plant()


def enter_password(client: Client) -> None:
    """Log in with the password only. The second factor is still missing."""
    answer = client.post("/operators/login/", {"username": "op@example.com", "password": PASSWORD})
    assert answer.status_code == 302


def set_up_second_factor(client: Client) -> list[str]:
    """Set up an authenticator app in the browser. Return the recovery codes."""
    page = client.get("/operators/second-factor/").content.decode()
    (secret,) = re.findall(r"<code>([A-Z2-7]{32})</code>", page)
    (challenge,) = re.findall(r'name="challenge" value="([^"]+)"', page)
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    answer = client.post("/operators/second-factor/", {"challenge": challenge, "code": code})
    return re.findall(r"<code>(\d{12})</code>", answer.content.decode())


@pytest.fixture
def password_only_client(committed_db: None) -> Client:
    """The browser of an operator who has entered only the password."""
    User.objects.create_user(email="op@example.com", password=PASSWORD, is_staff=True)
    client = Client()
    enter_password(client)
    return client


@pytest.fixture
def operator_client(password_only_client: Client, planted: PlantedOrg) -> Client:
    """The browser of an operator with support access to the planted org."""
    set_up_second_factor(password_only_client)
    open_support_access(password_only_client, planted.world.org)
    return password_only_client


def open_support_access(
    client: Client, org: Org, reason: str = "The customer asked about a run."
) -> None:
    answer = client.post(f"/operators/orgs/org/{org.pk}/access/", {"reason": reason})
    assert answer.status_code == 302, answer.content


def test_every_registered_model_is_read_only() -> None:
    assert admin.site._registry
    for model, page in admin.site._registry.items():
        assert isinstance(page, OperatorAdmin), model


def test_an_operators_access_is_audited_in_the_org(
    planted: PlantedOrg, operator_client: Client
) -> None:
    assert planted.canary in operator_client.get("/operators/orgs/org/").content.decode()
    pipeline = planted["pipeline"]
    page = operator_client.get(f"/operators/pipelines/pipeline/{pipeline}/change/")
    assert planted.canary in page.content.decode()
    with planted.world.scope():
        events = AuditEvent.objects.for_org(planted.world.org).filter(actor_kind="operator")
        recorded = list(events.order_by("id").values_list("action", "object_kind", "object_id"))
        assert recorded[0][0] == "operator.access"
        assert ("operator.list", "org", None) in recorded
        assert [str(part) for part in recorded[-1]] == ["operator.view", "pipeline", pipeline]
        assert {event.actor_label for event in events} == {"op@example.com"}


def test_the_list_of_runs_names_their_pipelines(
    planted: PlantedOrg, operator_client: Client
) -> None:
    with planted.world.scope():
        pipeline = Pipeline.objects.for_org(planted.world.org).get(pk=planted["pipeline"])
    assert pipeline.name in operator_client.get("/operators/runs/run/").content.decode()


def test_every_page_opens_and_shows_no_secret(operator_client: Client) -> None:
    checked_fields = set()
    for model in admin.site._registry:
        path = f"/operators/{model._meta.app_label}/{model._meta.model_name}/"
        assert operator_client.get(path).status_code == 200, path
        rows: Any = getattr(model, "unscoped", model._default_manager)
        row = rows.using("ops").first()
        if row is None:
            continue
        page = operator_client.get(f"{path}{row.pk}/change/").content.decode()
        for field in model._meta.concrete_fields:
            value = getattr(row, field.attname)
            if field.name in HIDDEN_FIELDS and isinstance(value, str) and value:
                assert value not in page, (path, field.name)
                checked_fields.add(field.name)
    assert {"password", "hash"} <= checked_fields


def test_secret_fields_cannot_be_used_as_filters(
    planted: PlantedOrg, operator_client: Client
) -> None:
    for path in (
        "identity/user/?password__startswith=bcrypt",
        "orgs/org/?data_key__startswith=g",
        "orgs/apikey/?hash__startswith=$2b$",
        "orgs/membership/?user__password__startswith=bcrypt",
    ):
        answer = operator_client.get(f"/operators/{path}")
        assert answer.status_code == 400, path
        assert planted.canary not in answer.content.decode(), path


def test_operators_cannot_change_add_or_delete_objects(
    planted: PlantedOrg, operator_client: Client
) -> None:
    base = f"/operators/pipelines/pipeline/{planted['pipeline']}"
    assert operator_client.post(f"{base}/change/", {"name": "mine"}).status_code == 403
    assert operator_client.post(f"{base}/delete/", {"post": "yes"}).status_code == 403
    assert operator_client.get("/operators/pipelines/pipeline/add/").status_code == 403


@pytest.mark.parametrize("visitor", ["anonymous", "owner"])
def test_owners_and_anonymous_visitors_are_redirected_to_the_login_page(
    planted: PlantedOrg, visitor: str
) -> None:
    client = Client()
    if visitor == "owner":
        owner = planted.world.users[Role.OWNER]
        client.post("/operators/login/", {"username": owner.email, "password": PASSWORD})
    answer = client.get("/operators/orgs/org/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/operators/login/")


def test_login_attempts_of_operators_are_limited(operator_client: Client) -> None:
    guess = {"username": "op@example.com", "password": "guess"}
    for _ in range(5):
        Client().post("/operators/login/", guess)
    answer = Client().post("/operators/login/", {**guess, "password": PASSWORD})
    assert answer.status_code == 200  # the login form, because the limit is reached
    assert Client().get("/operators/").status_code == 302


def test_the_pages_have_a_strict_content_security_policy(operator_client: Client) -> None:
    answer = operator_client.get("/operators/")
    assert "script-src 'self';" in answer["Content-Security-Policy"]
    assert "<script>" not in answer.content.decode()
    assert "style=" not in answer.content.decode()


def test_every_app_with_models_has_pages() -> None:
    configs = [config for config in apps.get_app_configs() if config.name.startswith("apps.")]
    labels = {config.label for config in configs if any(config.get_models())}
    assert labels <= {model._meta.app_label for model in admin.site._registry}


class TestSecondFactor:
    def test_the_password_alone_gives_no_access(self, password_only_client: Client) -> None:
        for path in ("/operators/", "/operators/orgs/org/", "/operators/identity/user/"):
            assert password_only_client.get(path).status_code == 302
        answer = password_only_client.get("/operators/login/")
        assert answer["Location"] == "/operators/second-factor/"

    def test_setting_up_an_app_shows_recovery_codes_and_completes_the_login(
        self, password_only_client: Client
    ) -> None:
        codes = set_up_second_factor(password_only_client)
        assert len(codes) == 10
        assert password_only_client.get("/operators/").status_code == 200
        second_client = Client()
        enter_password(second_client)
        assert second_client.get("/operators/").status_code == 302
        page = second_client.get("/operators/second-factor/").content.decode()
        # A second app cannot be set up with the password only.
        assert "authenticator app, then" not in page
        second_client.post("/operators/second-factor/", {"code": "000000"})
        assert second_client.get("/operators/").status_code == 302
        second_client.post("/operators/second-factor/", {"code": codes[0]})
        assert second_client.get("/operators/").status_code == 200

    @pytest.mark.parametrize("change", ["factors", "sessions"])
    def test_resetting_the_factors_or_ending_all_sessions_logs_the_operator_out(
        self, operator_client: Client, change: str
    ) -> None:
        user = User.objects.get(is_staff=True)
        assert operator_client.get("/operators/").status_code == 200
        if change == "factors":
            factors.reset(user)
        else:
            sessions.end_all(user.pk, reason="logged out everywhere")
        assert operator_client.get("/operators/").status_code == 302

    def test_after_a_wrong_first_code_the_same_challenge_can_be_used_again(
        self, password_only_client: Client
    ) -> None:
        page = password_only_client.get("/operators/second-factor/").content.decode()
        (challenge,) = re.findall(r'name="challenge" value="([^"]+)"', page)
        body = {"challenge": challenge, "code": "000000"}
        page_after_wrong_code = password_only_client.post(
            "/operators/second-factor/", body
        ).content.decode()
        assert "wrong" in page_after_wrong_code
        assert challenge in page_after_wrong_code

    def test_anonymous_visitors_are_redirected_to_the_login_page(self, committed_db: None) -> None:
        answer = Client().get("/operators/second-factor/")
        assert answer["Location"].startswith("/operators/login/")


class TestSupportAccess:
    def test_support_access_requires_a_reason_that_is_audited(
        self, planted: PlantedOrg, password_only_client: Client
    ) -> None:
        set_up_second_factor(password_only_client)
        path = f"/operators/pipelines/pipeline/{planted['pipeline']}/change/"
        list_path = "/operators/pipelines/pipeline/"
        assert planted.canary not in password_only_client.get(list_path).content.decode()
        # The response is a redirect, as for an object that does not exist.
        assert password_only_client.get(path).status_code == 302
        answer = password_only_client.post(
            f"/operators/orgs/org/{planted.world.org.pk}/access/", {"reason": "why"}
        )
        assert answer.status_code == 200
        open_support_access(password_only_client, planted.world.org, "Ticket 4711: a run hangs.")
        assert planted.canary in password_only_client.get(path).content.decode()
        events = planted.world.client("owner").get("/api/v1/org/audit").json()["results"]
        (event,) = [event for event in events if event["action"] == "operator.access"]
        assert event["changes"] == {"reason": [None, "Ticket 4711: a run hangs."]}
        assert event["actor_label"] == "op@example.com"

    def test_support_access_is_limited_to_one_org_and_expires(
        self, planted: PlantedOrg, operator_client: Client
    ) -> None:
        other_planted = plant()
        list_path = "/operators/connectors/connector/"
        page = operator_client.get(list_path).content.decode()
        assert planted.canary in page
        assert other_planted.canary not in page
        with planted.world.scope():
            SupportAccess.objects.for_org(planted.world.org).update(until=timezone.now())
        assert planted.canary not in operator_client.get(list_path).content.decode()

    def test_support_access_is_limited_to_one_operator(
        self, planted: PlantedOrg, operator_client: Client
    ) -> None:
        User.objects.create_user(email="second@example.com", password=PASSWORD, is_staff=True)
        second_operator = Client()
        second_operator.post(
            "/operators/login/", {"username": "second@example.com", "password": PASSWORD}
        )
        set_up_second_factor(second_operator)
        page = second_operator.get("/operators/pipelines/pipeline/").content.decode()
        assert planted.canary not in page


def test_the_first_page_shows_the_isolation_of_custom_code(operator_client: Client) -> None:
    page = operator_client.get("/operators/").content.decode()
    assert f"Isolation of custom code: {layers.choose_isolation().level}" in page


@pytest.mark.parametrize(
    ("locked_table", "page_path"),
    [("orgs_org", "orgs/org/{org}/suspend/"), ("django_session", "login/")],
    ids=["in a view", "in a middleware"],
)
def test_a_page_that_cannot_get_a_lock_returns_503_with_retry_after(
    planted: PlantedOrg, operator_client: Client, locked_table: str, page_path: str
) -> None:
    operator_client.raise_request_exception = False
    form = {"reason": "Sends spam.", "username": "op@example.com", "password": PASSWORD}
    if page_path == "login/":
        operator_client.cookies.clear()
    with psycopg.connect(database.url_of(database.process_database_name())) as conn:
        conn.execute(f"LOCK TABLE {locked_table} IN EXCLUSIVE MODE")
        path = f"/operators/{page_path.format(org=planted.world.org.pk)}"
        answer = operator_client.post(path, form)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "2")
    assert "<h1>Something went wrong</h1>" in answer.content.decode()


def test_an_internal_error_on_a_page_returns_500(
    operator_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_error(*_: object) -> None:
        raise ProgrammingError("no such column")

    operator_client.raise_request_exception = False
    monkeypatch.setattr(layers, "choose_isolation", raise_error)
    answer = operator_client.get("/operators/")
    assert answer.status_code == 500
    assert "it has been logged" in answer.content.decode()


class TestSuspension:
    def test_an_operator_may_suspend_and_resume_an_org_with_a_reason(
        self, planted: PlantedOrg, operator_client: Client
    ) -> None:
        world = planted.world
        base = f"/operators/orgs/org/{world.org.pk}"
        assert "Suspend" in operator_client.get(f"{base}/change/").content.decode()
        operator_client.post(f"{base}/suspend/", {"reason": "Sends spam through webhooks."})
        client = world.client("owner")
        refused = client.post("/api/v1/org/domains", {"name": "x"})
        assert (refused.status_code, refused.json()["code"]) == (423, "org_suspended")
        assert "Resume" in operator_client.get(f"{base}/change/").content.decode()
        operator_client.post(f"{base}/resume/", {"reason": "They have explained."})
        assert client.post("/api/v1/org/domains", {"name": "x"}).status_code == 201
        events = client.get("/api/v1/org/audit").json()["results"]
        actions = [event["action"] for event in events]
        assert actions.index("operator.resume") < actions.index("operator.suspend")

    def test_suspending_requires_a_csrf_token(self, planted: PlantedOrg) -> None:
        client = Client(enforce_csrf_checks=True)
        path = f"/operators/orgs/org/{planted.world.org.pk}/suspend/"
        answer = client.post(path, {"reason": "no real reason"})
        assert answer.status_code == 403
        with planted.world.scope():
            assert Org.objects.get(pk=planted.world.org.pk).suspended_at is None

    def test_members_cannot_suspend_an_org(self, planted: PlantedOrg) -> None:
        client = Client()
        owner = planted.world.users[Role.OWNER]
        client.post("/operators/login/", {"username": owner.email, "password": PASSWORD})
        path = f"/operators/orgs/org/{planted.world.org.pk}/suspend/"
        assert client.post(path, {"reason": "no real reason"}).status_code == 302
        with planted.world.scope():
            assert Org.objects.get(pk=planted.world.org.pk).suspended_at is None


def test_the_queue_and_its_workers_have_pages(operator_client: Client) -> None:
    for path in ("procrastinate/procrastinatejob/", "procrastinate/procrastinateworker/"):
        assert operator_client.get(f"/operators/{path}").status_code == 200
