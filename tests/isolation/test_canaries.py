"""A secret that was sent to Drover never appears in a response, table, log line or file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from allauth.mfa.totp.internal import auth as totp
from django.conf import settings
from django.core.mail import EmailMessage

from tests import database, mailbox
from tests.isolation.cases import SCIM_USER
from tests.world import new_client

SECRET = f"canary-{uuid4().hex}"
SHOWN_VALUE = f"shown-{uuid4().hex}"  # a value that is not secret; the search must find it
PASSWORD = f"Password {SECRET}"
CONFIG = {
    "host": "127.0.0.1",
    "port": 1,
    "database": "shop",
    "user": "reader",
    "password": SECRET,
}


@pytest.fixture
def answers(committed_db: None, caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Create an account, connectors and pipelines, check and change them, and return all responses."""
    client = new_client()
    responses: list[Any] = []

    def call(method: str, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        headers: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": uuid4().hex} if method == "post" else {}
        answer = getattr(client, method)(f"/api/v1/{path}", body, **headers)
        assert answer.status_code == status, answer.content
        responses.append(answer)
        result: dict[str, Any] = answer.json() if answer.content else {}
        return result

    account = {"email": "ada@example.com", "password": PASSWORD, "organization_name": "Shop"}
    access = call("post", "auth/register", account, 201)["access"]
    call("post", "auth/login", {"email": "ada@example.com", "password": PASSWORD}, 200)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    saved = {"name": "Shop", "role": "source", "kind": "postgres", "config": CONFIG}
    connector = call("post", "connectors", saved, 201)["id"]
    call("post", f"connectors/{connector}/check", {}, 200)
    unsaved = {"role": "source", "kind": "postgres", "config": CONFIG}
    call("post", "connectors/check", unsaved, 200)
    call("patch", f"connectors/{connector}", {"config": {"password": SECRET + "2"}}, 200)
    call("post", "connectors", {**saved, "config": {**CONFIG, "port": SECRET}}, 422)
    call("post", "connectors", {**saved, "config": {**CONFIG, SECRET: 1}}, 422)
    config = {
        "source": {"kind": "postgres", "config": CONFIG},
        "streams": [{"stream": "public.orders"}],
        "destination": {"kind": "logger", "config": {}},
    }
    pipeline = call("post", "pipelines", {"name": "Orders", "config": config}, 201)["id"]
    call("post", "pipelines/validate", {"name": "x", "config": config}, 200)
    call("post", f"pipelines/{pipeline}/preview", {"max_records": 1}, 200)
    call("post", f"pipelines/{pipeline}/duplicate", {}, 201)
    changed = {"source": {"config": {"password": SECRET + "3"}}}
    call("patch", f"pipelines/{pipeline}", {"config": changed}, 200)
    call("post", f"pipelines/{pipeline}/run", {}, 201)
    for path in ("connectors", f"connectors/{connector}", "pipelines", f"pipelines/{pipeline}"):
        call("get", path, {}, 200)
    call("get", f"pipelines/{pipeline}/versions/1", {}, 200)
    call("get", f"pipelines/{pipeline}/versions/2/diff", {}, 200)
    call("get", "org/audit", {}, 200)
    call("post", "org/domains", {"name": SHOWN_VALUE}, 201)
    return responses


def test_a_secret_appears_in_no_response_table_log_line_or_file(
    answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    for answer in answers:
        if answer.status_code == 422:
            continue  # contains the secret as a field name; the next test checks the messages
        assert SECRET.encode() not in answer.content, answer.request["PATH_INFO"]
    assert SECRET not in caplog.text
    tables = dump_tables()
    assert {name for name, text in tables.items() if SHOWN_VALUE in text} == {
        "orgs_domain",
        "orgs_auditevent",
    }
    assert tables["procrastinate_jobs"]
    assert [name for name, text in tables.items() if SECRET in text] == []
    files = Path(settings.DROVER_HOME, "storage").rglob("*")
    assert [path for path in files if SECRET.encode() in read_if_present(path)] == []


def read_if_present(path: Path) -> bytes:
    """Read a file, if it still exists. Tests that run at the same time remove their files."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def dump_tables() -> dict[str, str]:
    """Return every table of our schemas as text, read as the administrator."""
    with psycopg.connect(database.url_of(database.process_database_name())) as admin:
        names = admin.execute(
            """SELECT schemaname, tablename FROM pg_tables
               WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
        ).fetchall()
        return {
            table: "\n".join(
                str(row[0]) for row in admin.execute(f'SELECT t::text FROM "{schema}"."{table}" t')
            )
            for schema, table in names
        }


def test_error_messages_do_not_contain_a_secret(answers: list[Any]) -> None:
    refused = [answer for answer in answers if answer.status_code == 422]
    assert refused
    for answer in refused:
        messages = " ".join(error["message"] for error in answer.json()["errors"])
        assert SECRET not in messages


@dataclass(frozen=True)
class RecordedRequests:
    secrets: dict[str, str]  # by name; a user entered them, or a response showed them on purpose
    responses: list[Any]  # all responses that must not contain a secret
    jobs: list[str]  # the arguments of all queued jobs


@pytest.fixture
def recorded_requests(committed_db: None, caplog: pytest.LogCaptureFixture) -> RecordedRequests:
    """Send the requests that create or show secrets, and record the secrets, responses and jobs."""
    client = new_client()
    secrets = {
        "password": PASSWORD,
        "provider": f"provider {SECRET}",
        "scim": f"scim {SECRET}",
        "git token": f"git {SECRET}",
        "model key": f"model-{SECRET}",
        "preview token": f"preview-{SECRET}",
        "dbt token": f"dbtc_{SECRET}-dbt",
        "slack url": f"https://hooks.slack.example/services/{SECRET}-slack",
        "signing secret": f"signing-{SECRET}",
    }
    responses: list[Any] = []
    jobs: list[str] = []

    def deliver_mail() -> list[EmailMessage]:
        jobs.extend(str(job.args) for job in mailbox.waiting_jobs())
        return mailbox.deliver()

    def call(method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """Send a request whose response may show a secret."""
        answer = getattr(client, method)(f"/api/v1/{path}", body, **more)
        assert answer.status_code == status, (path, answer.content)
        return answer

    def call_without_secret(*arguments: Any, **more: Any) -> Any:
        answer = call(*arguments, **more)
        responses.append(answer)
        return {} if answer.streaming or not answer.content else answer.json()

    def add_secret(name: str, value: str) -> str:
        assert len(value) >= 6
        secrets[name] = value
        return value

    account = {"email": "ada@example.com", "password": PASSWORD, "organization_name": "Shop"}
    registered = call("post", "auth/register", account, 201)
    add_secret("refresh token", client.cookies["drover_refresh"].value)
    access = add_secret("access token", registered.json()["access"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    for message in deliver_mail():
        add_secret("verification link", mailbox.read_link(message)[1])
    current_password = {"current_password": PASSWORD}
    start = call("post", "auth/factors/totp", current_password).json()
    secret = add_secret("authenticator", start["secret"])
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    body = {"challenge": start["challenge"], "code": code}
    for number, text in enumerate(
        call("post", "auth/factors/totp/confirm", body).json()["recovery_codes"]
    ):
        add_secret(f"recovery code {number}", text)
    add_secret("stream ticket", call("post", "auth/stream-ticket", status=201).json()["ticket"])
    key = {"name": "Loader", "role": "admin", "scopes": []}
    api_key = call("post", "org/api-keys", key, 201).json()
    add_secret("API key", api_key["key"])
    rotated = call("post", f"org/api-keys/{api_key['id']}/rotate", {"grace_seconds": 60}, 201)
    add_secret("rotated key", rotated.json()["key"])
    service_account = call_without_secret(
        "post", "org/service-accounts", {"name": "Okta", "role": "admin"}, status=201
    )
    path = f"org/service-accounts/{service_account['id']}/keys"
    scoped = call("post", path, {"name": "scim", "scopes": ["members.manage"]}, 201).json()
    add_secret("service account's key", scoped["key"])
    repository = {"url": "https://git.example.com/sources", "token": secrets["git token"]}
    connected = call("post", "repositories", repository, 201).json()
    add_secret("webhook secret", connected["webhook_secret"])
    renewed = call("post", f"repositories/{connected['id']}/webhook-secret").json()
    add_secret("renewed webhook secret", renewed["webhook_secret"])
    call_without_secret("patch", f"repositories/{connected['id']}", {"branch": "release"})
    call_without_secret("post", f"repositories/{connected['id']}/sync", status=202)
    config = {
        "source": {"kind": "dummy", "config": {}},
        "streams": [{"stream": "generated"}],
        "destination": {"kind": "logger", "config": {}},
    }
    hooked = call_without_secret("post", "pipelines", {"name": "Hooked", "config": config}, 201)
    hooks = f"pipelines/{hooked['id']}/hooks"
    hook = call("post", hooks, {"name": "Shop"}, 201).json()
    add_secret("hook's secret", hook["secret"])
    call_without_secret("patch", f"{hooks}/{hook['id']}", {"name": "My shop"})
    renewed_hook = call("post", f"{hooks}/{hook['id']}/rotate").json()
    add_secret("renewed hook's secret", renewed_hook["secret"])
    page = call("post", "freshness-pages", {"title": "Data", "enabled": True}, 201).json()
    add_secret("link of a freshness page", page["url"].rpartition("/")[2])
    renewed_page = call("post", f"freshness-pages/{page['id']}/renew-link").json()
    add_secret("renewed link of a freshness page", renewed_page["url"].rpartition("/")[2])
    call_without_secret("get", f"freshness-pages/{page['id']}/preview")
    follow_ups = f"pipelines/{hooked['id']}/follow-ups"
    dbt = {
        "url": "https://cloud.getdbt.com",
        "account_id": 1,
        "job_id": 2,
        "token": secrets["dbt token"],
    }
    follow_up = {"name": "Models", "kind": "dbt_cloud", "settings": dbt}
    saved = call_without_secret("post", follow_ups, follow_up, status=201)
    call_without_secret("patch", f"{follow_ups}/{saved['id']}", {"enabled": False})
    call_without_secret("get", follow_ups)
    for kind, settings_of_channel in {
        "slack": {"url": secrets["slack url"]},
        "webhook": {"url": "https://hooks.example.com", "secret": secrets["signing secret"]},
    }.items():
        channel = {"name": kind, "kind": kind, "settings": settings_of_channel}
        saved = call_without_secret("post", "alerts/channels", channel, status=201)
        call_without_secret("patch", f"alerts/channels/{saved['id']}", {"name": f"My {kind}"})
        call_without_secret("post", f"alerts/channels/{saved['id']}/test", status=202)
    call_without_secret(
        "post", "org/invitations", {"email": "grace@example.com", "role": "member"}, status=201
    )
    call_without_secret("post", "auth/password/forgot", {"email": "ada@example.com"}, status=202)
    for number, message in enumerate(deliver_mail()):
        if mailbox.LINK.search(str(message.body)):
            add_secret(f"mailed link {number}", mailbox.read_link(message)[1])
    provider = {
        "issuer": "https://login.example.com",
        "client_id": "drover",
        "client_secret": secrets["provider"],
        "join_role": None,
        "enabled": False,
    }
    call_without_secret("put", "org/identity-provider", provider)
    model = {"provider": "anthropic", "model": "claude", "key": secrets["model key"]}
    call_without_secret("put", "org/model", model)
    conversation = call_without_secret("post", "agent/conversations", {}, status=201)["id"]
    settings_of_preview = {
        "config": {"token": secrets["preview token"]},
        "hosts": ["api.example.com"],
    }
    path = f"agent/conversations/{conversation}/source-settings"
    call_without_secret("put", path, settings_of_preview, status=204)
    call_without_secret("get", f"agent/conversations/{conversation}")
    user = {"schemas": [SCIM_USER], "userName": "eve@example.com", "password": secrets["scim"]}
    call_without_secret("post", "scim/v2/Users", user, status=201)
    for number, message in enumerate(deliver_mail()):
        add_secret(f"directory's invitation {number}", mailbox.read_link(message)[1])
    for path in READ_PATHS:
        responses.append(call("get", path))
    return RecordedRequests(secrets, responses, jobs)


READ_PATHS = (
    "auth/me",
    "auth/sessions",
    "auth/factors",
    "auth/links",
    "org",
    "org/members",
    "org/invitations",
    "org/service-accounts",
    "org/api-keys",
    "org/identity-provider",
    "org/model",
    "agent/status",
    "agent/conversations/export",
    "org/scim/groups",
    "scim/v2/Users",
    "repositories",
    "alerts/channels",
    "alerts/deliveries",
    "org/audit",
    "org/audit/export",
    "org/export",
)


def test_secrets_of_accounts_and_repositories_are_shown_once_and_never_stored_in_plain_text(
    recorded_requests: RecordedRequests, caplog: pytest.LogCaptureFixture
) -> None:
    assert len([name for name in recorded_requests.secrets if name.startswith("mailed link")]) == 2
    response_text = b"".join(
        b"".join(answer.streaming_content) if answer.streaming else answer.content
        for answer in recorded_requests.responses
    ).decode()
    tables = dump_tables()
    assert "ada@example.com" in str(recorded_requests.jobs)
    assert "eve@example.com" in response_text
    assert "eve@example.com" in tables["orgs_scimuser"], (
        "the search does not find a value that is not secret"
    )
    for name, value in recorded_requests.secrets.items():
        assert value not in response_text, name
        assert value not in str(recorded_requests.jobs), name
        assert value not in caplog.text, name
        assert [table for table, text in tables.items() if value in text] == [], name
