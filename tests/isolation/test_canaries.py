"""A secret that was passed to Drover never appears again: in no response, table, log line or file."""

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
SHOWN = f"shown-{uuid4().hex}"  # values that are not secret are found, so the search works
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
    """Return the responses of a team's first hour: account, connector, pipeline, failing checks, changes, a key."""
    client = new_client()
    found: list[Any] = []

    def call(method: str, path: str, body: dict[str, Any], status: int) -> dict[str, Any]:
        key = {"HTTP_IDEMPOTENCY_KEY": uuid4().hex} if method == "post" else {}
        more: dict[str, Any] = key
        answer = getattr(client, method)(f"/api/v1/{path}", body, **more)
        assert answer.status_code == status, answer.content
        found.append(answer)
        shown: dict[str, Any] = answer.json() if answer.content else {}
        return shown

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
    call("post", "org/domains", {"name": SHOWN}, 201)
    return found


def test_a_secret_appears_nowhere_again(
    answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    for answer in answers:
        if answer.status_code == 422:
            continue  # names the field it was sent in, see below
        assert SECRET.encode() not in answer.content, answer.request["PATH_INFO"]
    assert SECRET not in caplog.text
    tables = dumped()
    assert {name for name, text in tables.items() if SHOWN in text} == {
        "orgs_domain",
        "orgs_auditevent",
    }
    assert tables["procrastinate_jobs"]
    assert [name for name, text in tables.items() if SECRET in text] == []
    files = Path(settings.DROVER_HOME, "storage").rglob("*")
    assert [path for path in files if SECRET.encode() in content(path)] == []


def content(path: Path) -> bytes:
    """Read a file; other tests running at the same time remove theirs meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""


def dumped() -> dict[str, str]:
    """Return every table of our schemas as text, read as the administrator."""
    with psycopg.connect(database.url_of(database.worker_database())) as admin:
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


def test_a_wrong_value_in_a_secrets_place_is_not_shown_back(answers: list[Any]) -> None:
    refused = [answer for answer in answers if answer.status_code == 422]
    assert refused
    for answer in refused:
        messages = " ".join(error["message"] for error in answer.json()["errors"])
        assert SECRET not in messages


@dataclass(frozen=True)
class Given:
    secrets: dict[str, str]  # secrets that were entered or shown on purpose, by name
    later: list[Any]  # responses to all other requests
    jobs: list[str]  # arguments of the jobs that waited


@pytest.fixture
def given(committed_db: None, caplog: pytest.LogCaptureFixture) -> Given:
    """A team's first day with its accounts."""
    client = new_client()
    secrets = {
        "password": PASSWORD,
        "provider": f"provider {SECRET}",
        "scim": f"scim {SECRET}",
        "git token": f"git {SECRET}",
    }
    later: list[Any] = []
    jobs: list[str] = []

    def delivered() -> list[EmailMessage]:
        jobs.extend(str(job.args) for job in mailbox.waiting_jobs())
        return mailbox.deliver()

    def call(method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        """A response that shows a secret on purpose is not among the later ones."""
        answer = getattr(client, method)(f"/api/v1/{path}", body, **more)
        assert answer.status_code == status, (path, answer.content)
        return answer

    def quiet(*arguments: Any, **more: Any) -> Any:
        answer = call(*arguments, **more)
        later.append(answer)
        return {} if answer.streaming or not answer.content else answer.json()

    def keep(name: str, value: str) -> str:
        assert len(value) >= 6
        secrets[name] = value
        return value

    account = {"email": "ada@example.com", "password": PASSWORD, "organization_name": "Shop"}
    registered = call("post", "auth/register", account, 201)
    keep("refresh token", client.cookies["drover_refresh"].value)
    access = keep("access token", registered.json()["access"])
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    for message in delivered():
        keep("link that verifies", mailbox.link(message)[1])
    check = {"current_password": PASSWORD}
    begun = call("post", "auth/factors/totp", check).json()
    secret = keep("authenticator", begun["secret"])
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    body = {"challenge": begun["challenge"], "code": code}
    for number, text in enumerate(
        call("post", "auth/factors/totp/confirm", body).json()["recovery_codes"]
    ):
        keep(f"recovery code {number}", text)
    keep("stream ticket", call("post", "auth/stream-ticket", status=201).json()["ticket"])
    key = {"name": "Loader", "role": "admin", "scopes": []}
    made = call("post", "org/api-keys", key, 201).json()
    keep("API key", made["key"])
    rotated = call("post", f"org/api-keys/{made['id']}/rotate", {"grace_seconds": 60}, 201)
    keep("rotated key", rotated.json()["key"])
    robot = quiet("post", "org/service-accounts", {"name": "Okta", "role": "admin"}, status=201)
    path = f"org/service-accounts/{robot['id']}/keys"
    scoped = call("post", path, {"name": "scim", "scopes": ["members.manage"]}, 201).json()
    keep("service account's key", scoped["key"])
    repository = {"url": "https://git.example.com/sources", "token": secrets["git token"]}
    connected = call("post", "repositories", repository, 201).json()
    keep("webhook secret", connected["webhook_secret"])
    renewed = call("post", f"repositories/{connected['id']}/webhook-secret").json()
    keep("renewed webhook secret", renewed["webhook_secret"])
    quiet("patch", f"repositories/{connected['id']}", {"branch": "release"})
    quiet("post", f"repositories/{connected['id']}/sync", status=202)
    quiet("post", "org/invitations", {"email": "grace@example.com", "role": "member"}, status=201)
    quiet("post", "auth/password/forgot", {"email": "ada@example.com"}, status=202)
    for number, message in enumerate(delivered()):
        if mailbox.LINK.search(str(message.body)):
            keep(f"mailed link {number}", mailbox.link(message)[1])
    provider = {
        "issuer": "https://login.example.com",
        "client_id": "drover",
        "client_secret": secrets["provider"],
        "join_role": None,
        "enabled": False,
    }
    quiet("put", "org/identity-provider", provider)
    user = {"schemas": [SCIM_USER], "userName": "eve@example.com", "password": secrets["scim"]}
    quiet("post", "scim/v2/Users", user, status=201)
    for number, message in enumerate(delivered()):
        keep(f"directory's invitation {number}", mailbox.link(message)[1])
    for path in LOOKS:
        later.append(call("get", path))
    return Given(secrets, later, jobs)


LOOKS = (
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
    "org/scim/groups",
    "scim/v2/Users",
    "repositories",
    "org/audit",
    "org/audit/export",
    "org/export",
)


def test_what_opens_an_account_or_a_repository_is_shown_once_and_kept_nowhere_in_the_clear(
    given: Given, caplog: pytest.LogCaptureFixture
) -> None:
    assert len([name for name in given.secrets if name.startswith("mailed link")]) == 2
    shown = b"".join(
        b"".join(answer.streaming_content) if answer.streaming else answer.content
        for answer in given.later
    ).decode()
    tables = dumped()
    assert "ada@example.com" in str(given.jobs)
    assert "eve@example.com" in shown
    assert "eve@example.com" in tables["orgs_scimuser"], "the search finds what is no secret"
    for name, value in given.secrets.items():
        assert value not in shown, name
        assert value not in str(given.jobs), name
        assert value not in caplog.text, name
        assert [table for table, text in tables.items() if value in text] == [], name
