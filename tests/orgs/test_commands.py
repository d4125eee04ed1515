"""The commands `create_org`, `create_operator`, `rotate_keys` and `doctor`."""

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
from apps.orgs.exceptions import SecretUnreadable
from apps.orgs.models import AuditEvent, Membership, Org
from apps.orgs.operators import diagnosis
from apps.orgs.roles import Role
from apps.orgs.sign_in.responses import memberships_of
from tests import database
from tests.world import World, make_world


def run_command(name: str, *arguments: Any) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_create_org_creates_an_owner_who_can_log_in_with_the_printed_password(db: None) -> None:
    output = run_command("create_org", "Analytics", "--owner", "Ada@Example.com")
    password = output.rpartition(": ")[2].strip()
    ada = authenticate(email="ada@example.com", password=password, ip=None)
    (membership,) = memberships_of(ada.pk)
    assert (membership.org.name, membership.role) == ("Analytics", Role.OWNER)


def test_create_org_for_an_existing_user_prints_no_password(world: World) -> None:
    owner = world.users[Role.OWNER]
    assert "Password" not in run_command("create_org", "Second", "--owner", owner.email)
    assert len(memberships_of(owner.pk)) == 2


def test_create_operator_reads_the_password_from_a_file(db: None, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse battery staple\n")
    output = run_command("create_operator", "op@example.com", "--password-file", str(file))
    assert "correct horse" not in output
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
def test_an_invalid_argument_is_rejected_and_creates_no_user(
    db: None, command: str, arguments: list[str]
) -> None:
    with pytest.raises(CommandError):
        run_command(command, *arguments)
    assert not User.objects.exists()


def test_a_user_of_an_org_cannot_become_an_operator(world: World) -> None:
    with pytest.raises(CommandError, match="already has an account"):
        run_command("create_operator", world.users[Role.OWNER].email)


class TestKeyRotation:
    """`rotate_keys` encrypts the data key of each org with the newest encryption key."""

    @pytest.fixture
    def worlds(self, committed_db: None, settings: Any) -> list[World]:
        worlds = [make_world("One"), make_world("Two")]
        for world in worlds:
            with world.scope():
                world.sealed = vault.seal(world.org, "test", world.org.pk, "secret")  # type: ignore[attr-defined]
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
        return worlds

    def unsealed_secret(self, world: World) -> Any:
        with world.scope():
            org = Org.objects.get(pk=world.org.pk)
            return vault.unseal(org, "test", org.pk, world.sealed)  # type: ignore[attr-defined]

    def test_the_old_key_can_be_removed_after_a_rotation(
        self, worlds: list[World], settings: Any
    ) -> None:
        assert "2 re-encrypted, 0 already" in run_command("rotate_keys")
        assert "0 re-encrypted, 2 already" in run_command("rotate_keys")
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        assert [self.unsealed_secret(world) for world in worlds] == ["secret", "secret"]

    def test_hashes_of_fields_stay_the_same(self, worlds: list[World]) -> None:
        secrets = [self.field_hash_secret(world) for world in worlds]
        run_command("rotate_keys")
        assert [self.field_hash_secret(world) for world in worlds] == secrets
        assert secrets[0] != secrets[1]

    def field_hash_secret(self, world: World) -> str:
        with world.scope():
            return vault.field_hash_secret(Org.objects.get(pk=world.org.pk))

    def test_without_a_rotation_the_old_key_is_needed(
        self, worlds: list[World], settings: Any
    ) -> None:
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        with pytest.raises(SecretUnreadable):
            self.unsealed_secret(worlds[0])
        assert not diagnosis.check_keys().ok

    def test_an_org_that_was_loaded_before_the_rotation_can_still_decrypt_its_secrets(
        self, worlds: list[World]
    ) -> None:
        """A run that began before the rotation has the data key in its old encrypted form."""
        with worlds[0].scope():
            org = Org.objects.get(pk=worlds[0].org.pk)
        run_command("rotate_keys")
        assert vault.unseal(org, "test", org.pk, worlds[0].sealed) == "secret"  # type: ignore[attr-defined]

    def test_rotation_fails_and_counts_the_orgs_whose_key_is_lost(
        self, worlds: list[World], settings: Any
    ) -> None:
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        out = StringIO()
        with pytest.raises(SystemExit):
            call_command("rotate_keys", stdout=out)
        assert "2 could not be decrypted" in out.getvalue()

    def test_the_rotation_is_audited_in_each_org(self, worlds: list[World]) -> None:
        run_command("rotate_keys")
        with worlds[0].scope():
            events = AuditEvent.objects.for_org(worlds[0].org)
            assert events.filter(action="org.rotate_key").count() == 1


def findings_by_part() -> dict[str, health.Finding]:
    return {finding.part: finding for finding in diagnosis.run_checks()}


def test_the_doctor_reports_only_the_missing_worker(committed_db: None) -> None:
    make_world()
    findings = findings_by_part()
    assert {part for part, finding in findings.items() if not finding.ok} == {
        "workers",
        "scheduler",
    }
    assert "the keys of 1 organization can be decrypted" in findings["keys"].seen


def test_the_doctor_reports_no_problem_while_a_worker_runs(committed_db: None) -> None:
    record_worker_heartbeat()
    assert [finding for finding in diagnosis.run_checks() if not finding.ok] == []
    assert "All checks passed." in run_command("doctor")


def test_the_doctor_warns_if_custom_code_runs_as_drovers_own_system_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose_isolation = layers.choose_isolation
    monkeypatch.setattr(
        layers, "choose_isolation", lambda: choose_isolation(("landlock", "seccomp"))
    )
    assert "remaining risk: code runs as Drover's own user" in diagnosis.check_isolation().seen
    monkeypatch.setattr(
        layers, "choose_isolation", lambda: choose_isolation(("seccomp", "root", "uid"))
    )
    assert "remaining risk" not in diagnosis.check_isolation().seen


def record_worker_heartbeat() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
        cursor.execute(
            """INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, periodic_id)
               VALUES (%s, extract(epoch FROM now())::bigint, '')""",
            [health.TICK_TASK],
        )


def test_the_doctor_names_a_table_without_row_level_security(committed_db: None) -> None:
    admin_url = database.url_of(database.process_database_name())
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("ALTER TABLE orgs_domain DISABLE ROW LEVEL SECURITY")
        try:
            finding = findings_by_part()["row security"]
        finally:
            admin.execute("ALTER TABLE orgs_domain ENABLE ROW LEVEL SECURITY")
    assert not finding.ok
    assert "orgs_domain" in finding.seen


def test_the_doctor_names_a_role_with_too_many_privileges(committed_db: None) -> None:
    with psycopg.connect(database.url_of("postgres"), autocommit=True) as admin:
        admin.execute("ALTER ROLE app_ops CREATEROLE")
        try:
            finding = findings_by_part()["roles"]
        finally:
            admin.execute("ALTER ROLE app_ops NOCREATEROLE")
    assert (finding.ok, finding.seen) == (False, "too many privileges: app_ops")


def test_the_doctor_reports_why_storage_cannot_be_used(
    committed_db: None, settings: Any, tmp_path: Path
) -> None:
    location = tmp_path / "file"
    location.write_text("not a folder")
    storage = settings.STORAGES["default"]
    unusable_storage = {**storage, "OPTIONS": {"location": str(location)}}
    settings.STORAGES = {**settings.STORAGES, "default": unusable_storage}
    finding = health.check_storage_now()
    assert not finding.ok
    assert finding.next_step


def test_the_doctor_exits_with_code_1_and_prints_the_next_step(committed_db: None) -> None:
    out = StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("doctor", stdout=out)
    assert raised.value.code == 1
    assert "-> Start `manage.py worker`" in out.getvalue()
