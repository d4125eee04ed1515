"""No run starts in a suspended or deleted org, and its runs end. A deleted org is erased after the grace period."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from django.conf import settings
from django.db import connection, utils
from django.utils import timezone

from apps.auth.models import User
from apps.orgs.keys import service_accounts
from apps.orgs.members import erasure
from apps.orgs.models import AuditEvent, Org
from apps.orgs.roles import Role
from apps.pipelines.models import Schedule
from apps.runs import scheduling
from apps.runs.claiming import reconciler
from apps.runs.execute import Worker
from apps.runs.models import Run, Status
from tests import database
from tests.isolation.planted import plant, principal
from tests.runs.claiming.test_attempts import work_until_idle
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.world import World, make_world


def update_org(world: World, **fields: object) -> None:
    with world.scope():
        Org.objects.filter(pk=world.org.pk).update(**fields)


def test_waiting_runs_of_a_suspended_org_are_cancelled_and_never_claimed(
    acme: World, this_worker: Worker
) -> None:
    run_id = start_run(acme, make_pipeline(acme))
    update_org(acme, suspended_at=timezone.now())
    work_until_idle(this_worker)
    with acme.scope():
        assert Run.objects.for_org(acme.org).get(pk=run_id).status == Status.PENDING
    assert reconciler.reconcile().closed == 1
    with acme.scope():
        assert Run.objects.for_org(acme.org).get(pk=run_id).status == Status.CANCELLED


def test_schedules_of_a_suspended_org_do_not_fire_until_it_is_resumed(acme: World) -> None:
    pipeline = make_pipeline(acme)
    now = timezone.now()
    with acme.scope():
        schedule = Schedule.unscoped.create(
            org=acme.org,
            pipeline=pipeline,
            interval_seconds=3600,
            next_run_at=now - timedelta(seconds=1),
        )
    update_org(acme, suspended_at=now)
    assert scheduling.tick() == 0
    with acme.scope():
        next_run_at = Schedule.objects.for_org(acme.org).get().next_run_at
        assert next_run_at is not None
        assert next_run_at > now
        Schedule.objects.for_org(acme.org).filter(pk=schedule.pk).update(next_run_at=now)
    update_org(acme, suspended_at=None)
    assert scheduling.tick() == 1


def count_org_rows(org: Org) -> dict[str, int]:
    """Return the number of rows of this org in each table, counted as the administrator."""
    counts = {}
    with psycopg.connect(database.url_of(database.process_database_name())) as admin:
        tables = admin.execute(
            """SELECT c.table_name FROM information_schema.columns c
               JOIN information_schema.tables t USING (table_schema, table_name)
               WHERE c.table_schema = 'public' AND c.column_name = 'org_id'
               AND t.table_type = 'BASE TABLE'"""
        ).fetchall()
        for (table,) in tables:
            count = admin.execute(
                f"SELECT count(*) FROM {table} WHERE org_id = %s",
                [org.pk],
            ).fetchone()
            if count and count[0]:
                counts[table] = int(count[0])
    return counts


def test_after_the_grace_period_all_data_of_the_org_and_no_other_data_is_deleted(
    acme: World, this_worker: Worker
) -> None:
    start_run(acme, make_pipeline(acme))
    work_until_idle(this_worker)
    with acme.scope():
        service_account = service_accounts.create(
            org=acme.org, by=principal(acme, Role.OWNER), name="robot", role=Role.MEMBER
        )
    other_planted = plant()
    rows_before = count_org_rows(other_planted.world.org)
    folder = Path(settings.DROVER_HOME) / "storage" / "org" / str(acme.org.pk)
    assert folder.is_dir()
    assert count_org_rows(acme.org)
    update_org(acme, deletion_at=timezone.now() - timedelta(seconds=1))
    assert erasure.erase_due_orgs() == 1
    assert count_org_rows(acme.org) == {}
    assert not Org.objects.using("ops").filter(pk=acme.org.pk).exists()
    assert not folder.exists()
    assert not User.objects.filter(pk=service_account.user_id).exists()
    assert User.objects.filter(pk=acme.users[Role.OWNER].pk).exists()
    assert count_org_rows(other_planted.world.org) == rows_before
    assert erasure.erase_due_orgs() == 0


def test_no_data_is_deleted_before_the_grace_period_ends_even_if_the_database_function_is_called(
    acme: World,
) -> None:
    update_org(acme, deletion_at=timezone.now() + timedelta(days=1))
    assert erasure.erase_due_orgs() == 0
    with pytest.raises(utils.ProgrammingError, match="not due"), connection.cursor() as cursor:
        cursor.execute("SELECT erase_org(%s)", [acme.org.pk])
    with acme.scope():
        assert Org.objects.filter(pk=acme.org.pk).exists()


def test_an_org_with_a_live_run_is_deleted_only_after_the_run_was_cancelled(acme: World) -> None:
    start_run(acme, make_pipeline(acme))
    update_org(acme, deletion_at=timezone.now() - timedelta(seconds=1))
    assert erasure.erase_due_orgs() == 0
    assert erasure.erase_due_orgs() == 1


class TestExport:
    def test_an_export_contains_all_data_of_the_org_but_no_secrets_and_no_other_data(
        self, committed_db: None
    ) -> None:
        exported_org, other_org = plant(), plant()
        update_org(exported_org.world, deletion_at=timezone.now() + timedelta(days=3))
        answer: Any = exported_org.world.client("owner").get("/api/v1/org/export")
        assert answer.status_code == 200
        text = b"".join(answer.streaming_content)
        rows = [orjson.loads(line) for line in text.splitlines()]
        kinds = {row["record"] for row in rows}
        assert kinds >= {"organization", "member", "domain", "connector", "pipeline", "run"}
        assert kinds >= {"pipeline_version", "schedule", "audit_event"}
        assert other_org.canary.encode() not in text
        for secret in (
            f"{exported_org.canary} password",
            f"{exported_org.canary} secret",
            exported_org["key"],
        ):
            assert secret.encode() not in text
        with exported_org.world.scope():
            assert (
                AuditEvent.objects.for_org(exported_org.world.org)
                .filter(action="org.export")
                .exists()
            )

    def test_members_may_not_export(self, committed_db: None) -> None:
        world = make_world()
        assert world.client("member").get("/api/v1/org/export").status_code == 403
