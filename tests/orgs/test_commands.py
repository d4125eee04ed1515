"""The operators' commands."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from apps.auth.accounts import authenticate
from apps.auth.models import User
from apps.background import health
from apps.engine.sandbox import layers
from apps.orgs import vault
from apps.orgs.exceptions import Unreadable
from apps.orgs.models import AuditEvent, Membership, Org
from apps.orgs.operators import diagnosis
from apps.orgs.roles import Role
from apps.orgs.sign_in.responses import memberships_of
from tests import database
from tests.world import World, make_world


def run(name: str, *arguments: Any) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_create_org_makes_an_owner_who_can_log_in_with_what_was_printed(db: None) -> None:
    said = run("create_org", "Analytics", "--owner", "Ada@Example.com")
    password = said.rpartition(": ")[2].strip()
    ada = authenticate(email="ada@example.com", password=password, ip=None)
    (membership,) = memberships_of(ada.pk)
    assert (membership.org.name, membership.role) == ("Analytics", Role.OWNER)


def test_create_org_for_someone_who_is_there_prints_no_password(world: World) -> None:
    owner = world.users[Role.OWNER]
    assert "Password" not in run("create_org", "Second", "--owner", owner.email)
    assert len(memberships_of(owner.pk)) == 2


def test_create_operator_reads_its_password_from_a_file(db: None, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery staple\n")
    said = run("create_operator", "op@example.com", "--password-file", str(file))
    assert "correct horse" not in said
    user = authenticate(email="op@example.com", password="correct horse battery staple", ip=None)
    assert user.is_staff
    assert not Membership.unscoped.filter(user=user).exists()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("create_org", ["", "--owner", "a@example.com"]),
        ("create_org", ["Name", "--owner", "nobody"]),
        ("create_operator", ["nobody"]),
        ("create_operator", ["a@example.com", "--password-file", "/nowhere"]),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_makes_nothing(
    db: None, command: str, arguments: list[str]
) -> None:
    with pytest.raises(CommandError):
        run(command, *arguments)
    assert not User.objects.exists()


def test_an_operator_needs_an_account_of_their_own(world: World) -> None:
    with pytest.raises(CommandError, match="already has an account"):
        run("create_operator", world.users[Role.OWNER].email)


class TestKeyRotation:
    """`rotate_keys` between two real keys."""

    @pytest.fixture
    def worlds(self, committed_db: None, settings: Any) -> list[World]:
        worlds = [make_world("One"), make_world("Two")]
        for world in worlds:
            with world.scope():
                world.sealed = vault.seal(world.org, "test", world.org.pk, "secret")  # type: ignore[attr-defined]
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
        return worlds

    def opened(self, world: World) -> Any:
        with world.scope():
            org = Org.objects.get(pk=world.org.pk)
            return vault.unseal(org, "test", org.pk, world.sealed)  # type: ignore[attr-defined]

    def test_the_old_key_can_be_removed_afterwards(
        self, worlds: list[World], settings: Any
    ) -> None:
        assert "2 re-encrypted, 0 already" in run("rotate_keys")
        assert "0 re-encrypted, 2 already" in run("rotate_keys")
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        assert [self.opened(world) for world in worlds] == ["secret", "secret"]

    def test_without_it_the_old_key_is_needed(self, worlds: list[World], settings: Any) -> None:
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        with pytest.raises(Unreadable):
            self.opened(worlds[0])
        assert not diagnosis.keys().ok

    def test_an_org_read_before_the_rotation_still_opens(self, worlds: list[World]) -> None:
        """A running run has the data key as it was encrypted when the run began."""
        with worlds[0].scope():
            held = Org.objects.get(pk=worlds[0].org.pk)
        run("rotate_keys")
        assert vault.unseal(held, "test", held.pk, worlds[0].sealed) == "secret"  # type: ignore[attr-defined]

    def test_a_key_that_is_lost_is_counted_and_fails(
        self, worlds: list[World], settings: Any
    ) -> None:
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("rotate_keys", stdout=out)
        assert "2 could not be decrypted" in out.getvalue()

    def test_each_org_has_it_in_its_trail(self, worlds: list[World]) -> None:
        run("rotate_keys")
        with worlds[0].scope():
            trail = AuditEvent.objects.for_org(worlds[0].org)
            assert trail.filter(action="org.rotate_key").count() == 1


def findings() -> dict[str, health.Finding]:
    return {finding.part: finding for finding in diagnosis.all_findings()}


def test_the_doctor_finds_nothing_wrong_but_the_missing_worker(committed_db: None) -> None:
    make_world()
    found = findings()
    assert {part for part, finding in found.items() if not finding.ok} == {"workers", "scheduler"}
    assert "1 organization can be opened" in found["keys"].seen


def test_the_doctor_is_content_when_a_worker_lives(committed_db: None) -> None:
    record_worker_heartbeat()
    assert [finding for finding in diagnosis.all_findings() if not finding.ok] == []
    assert "All checks passed." in run("doctor")


def test_doctor_reports_the_risks_of_a_shared_user(monkeypatch: pytest.MonkeyPatch) -> None:
    real = layers.choose_isolation
    monkeypatch.setattr(layers, "choose_isolation", lambda: real(("landlock", "seccomp")))
    assert "left open: code runs as Drover's own user" in diagnosis.isolation().seen
    monkeypatch.setattr(layers, "choose_isolation", lambda: real(("seccomp", "root", "uid")))
    assert "left open" not in diagnosis.isolation().seen


def record_worker_heartbeat() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        cursor.execute(
            """INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, periodic_id)
               VALUES (%s, extract(epoch FROM now())::bigint, '')""",
            [health.TICK_TASK],
        )


def test_the_doctor_names_a_table_that_lost_its_protection(committed_db: None) -> None:
    admin_url = database.url_of(database.worker_database())
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE orgs_domain DISABLE ROW LEVEL SECURITY")
        try:
            finding = findings()["row security"]
        finally:
            admin.execute("ALTER TABLE orgs_domain ENABLE ROW LEVEL SECURITY")
    assert not finding.ok
    assert "orgs_domain" in finding.seen


def test_the_doctor_names_a_role_that_is_too_strong(committed_db: None) -> None:
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute("ALTER ROLE app_ops CREATEROLE")
        try:
            finding = findings()["roles"]
        finally:
            admin.execute("ALTER ROLE app_ops NOCREATEROLE")
    assert (finding.ok, finding.seen) == (False, "too many privileges: app_ops")


def test_doctor_reports_why_storage_cannot_be_used(
    committed_db: None, settings: Any, tmp_path: Path
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    present = settings.STORAGES["default"]
    broken = {**present, "OPTIONS": {"location": str(occupied)}}
    settings.STORAGES = {**settings.STORAGES, "default": broken}
    finding = health.check_storage_now()
    assert not finding.ok
    assert finding.next_step


def test_the_doctor_fails_with_exit_code_one_and_a_next_step(committed_db: None) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("doctor", stdout=out)
    assert stopped.value.code == 1
    assert "-> Start `manage.py worker`" in out.getvalue()
