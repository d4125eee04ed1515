"""Call the follow-ups of a pipeline after its runs.

The call is stored in the transaction that ends the run, and a job makes it: so it is neither lost nor made for an end that
was rolled back. A worker claims it in a transaction, calls outside of any transaction, and stores the answer in a second
one. If the worker dies in between, the call is made again after CLAIM, with the same id. So it is made at least once.

Receivers may be slow. So the jobs have a queue of their own, and alerts do not wait for them. An org makes one call at a
time, so that others have workers too. First attempts go before repeated ones.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import cast
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.exceptions import AlreadyEnqueued

from apps.alerts import payloads
from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.exceptions import FollowUpDisabled, NoRunToTell, TestPending
from apps.alerts.follow_ups.choices import CallKind, CallState, FollowUpAfter
from apps.alerts.follow_ups.kinds import KINDS, SETTINGS, Payload
from apps.alerts.follow_ups.models import FollowUp, FollowUpCall
from apps.alerts.kinds.answers import Answer
from apps.alerts.sending.attempts import CLAIM, MAX_ATTEMPTS, is_due, time_of_next_attempt
from apps.auth.models import new_id
from apps.background import jobs
from apps.background.sweeping import remove_in_batches
from apps.orgs import audit
from apps.orgs.exceptions import SecretUnreadable
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.walls.scope import org_scope
from apps.pipelines.models import RunKind
from apps.pipelines.visibility import find_pipeline
from apps.runs.models import ENDED, ORDINARY_RUNS, Run, Status
from apps.runs.queries import newest_runs
from apps.runs.snapshots import RunSnapshot

logger = structlog.get_logger(__name__)

CALL_TASK, QUEUE = "alerts.call_follow_ups", "follow_ups"
CALLS_PER_JOB = 20
ORGS_PER_TICK = 500
KEEP = timedelta(days=90)


def on_end(org_id: UUID, run: RunSnapshot) -> None:
    """Store the calls after this run, and defer a job that makes them. A listener of apps.runs.endings.

    Chunks of backfills and replays are left out, as for pipelines that run after others.
    """
    if run["kind"] != RunKind.ORDINARY:
        return
    rows = FollowUp.objects.for_org(org_id).filter(pipeline_id=run["pipeline"]["id"], enabled=True)
    if run["status"] != Status.SUCCEEDED:
        rows = rows.filter(after=FollowUpAfter.END)
    # They are locked until the run has ended: the end would be rolled back if one was deleted before its call is stored.
    found = list(rows.order_by("pk").select_for_update(no_key=True).only("org_id"))
    for follow_up in found:
        _store(follow_up, CallKind.RUN_ENDED, run)
    if found:
        # This does not wait for the ends of other runs, which defer jobs of the same org.
        _call_soon(org_id, may_wait_twice=True)


def test(*, org: Org, by: Principal, pipeline_id: UUID, follow_up_id: UUID) -> FollowUpCall:
    """Call soon with the newest run that has ended, as a test. One test of a follow-up waits at a time.

    Raises NotFound, FollowUpDisabled, TestPending and NoRunToTell.
    """
    pipeline = find_pipeline(org=org, by=by, pipeline_id=pipeline_id)
    by.require(Permission.PIPELINES_EDIT, domain_id=pipeline.domain_id)
    rows = FollowUp.objects.for_org(org).filter(pipeline=pipeline)
    follow_up = find_object(rows, follow_up_id, lock=True)
    if not follow_up.enabled:
        raise FollowUpDisabled
    pending = FollowUpCall.objects.for_org(org).filter(state=CallState.PENDING, follow_up=follow_up)
    if pending.filter(payload__kind=CallKind.TEST).exists():
        raise TestPending
    ended = Run.objects.for_org(org).filter(ORDINARY_RUNS, pipeline=pipeline, status__in=ENDED)
    runs = newest_runs(ended, org_id=org.pk, limit=1)
    if not runs:
        raise NoRunToTell
    audit.record(
        org=org,
        by=by,
        action="follow_up.test",
        object_kind="follow_up",
        object_id=follow_up.pk,
        object_label=follow_up.name,
        changes={"pipeline_id": [None, str(pipeline.pk)]},
    )
    call = _store(follow_up, CallKind.TEST, runs[0])
    _call_soon(org.pk, may_wait_twice=True)
    return call


def tick() -> int:
    """Defer jobs for the orgs with calls that are due, such as those whose job was lost. Returns their number."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT org_id FROM follow_up_calls_due(%s)", [ORGS_PER_TICK])
        org_ids = [org_id for (org_id,) in cursor.fetchall()]
    for org_id in org_ids:
        with suppress(AlreadyEnqueued), transaction.atomic():
            _call_soon(org_id)
    return len(org_ids)


def make_due(*, org_id: UUID) -> None:
    """Make calls of the org that are due, and store the answers. The tick finds the others."""
    for _ in range(CALLS_PER_JOB):
        claimed = _claim(org_id)
        if claimed is None:
            return
        org, call = claimed
        _record(call, _call(org, call))


def remove_old() -> None:
    """Delete the calls that are older than KEEP."""
    remove_in_batches("follow_up_calls_remove_old", timezone.now() - KEEP)


def _call_soon(org_id: UUID, *, may_wait_twice: bool = False) -> None:
    jobs.defer(
        CALL_TASK,
        queue=QUEUE,
        arguments={"org_id": str(org_id)},
        lock=f"follow_ups:{org_id}",
        may_wait_twice=may_wait_twice,
    )


def _store(follow_up: FollowUp, kind: CallKind, run: RunSnapshot) -> FollowUpCall:
    call_id, org_id = new_id(), follow_up.org_id
    return FollowUpCall.unscoped.create(
        id=call_id,
        org_id=org_id,
        follow_up=follow_up,
        run_id=run["id"],
        payload=_payload(call_id, org_id, kind, run),
    )


def _payload(call_id: UUID, org_id: UUID, kind: CallKind, run: RunSnapshot) -> Payload:
    ended, pipeline = EndedRun.of(run), run["pipeline"]
    return {
        "id": str(call_id),
        "kind": kind.value,
        "at": payloads.time_text(run["finished_at"] or timezone.now()),
        "organization": {"id": str(org_id)},
        "pipeline": {
            "id": str(pipeline["id"]),
            "name": pipeline["name"],
            "url": payloads.page_address(f"pipelines/{pipeline['id']}"),
        },
        "run": payloads.run_part(ended),
        "records_written": run["progress"]["written"],
    }


def _claim(org_id: UUID) -> tuple[Org, FollowUpCall] | None:
    """Return a call that is due, or None. No other worker makes it within CLAIM."""
    with org_scope(org_id):
        org = Org.objects.get(pk=org_id)
        if org.suspended_at is not None or org.deletion_at is not None:
            return None
        now = timezone.now()
        rows = FollowUpCall.objects.for_org(org).filter(is_due(now), state=CallState.PENDING)
        rows.filter(attempts__gte=MAX_ATTEMPTS).update(
            state=CallState.FAILED, problem="Each attempt was interrupted."
        )
        due = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
        call = due.select_related("follow_up").order_by("attempts", "next_attempt_at", "pk").first()
        if call is None:
            return None
        call.attempts += 1
        call.first_attempt_at = call.first_attempt_at or now
        call.next_attempt_at = now + CLAIM
        call.save(update_fields=["attempts", "first_attempt_at", "next_attempt_at"])
        return org, call


def _call(org: Org, call: FollowUpCall) -> Answer:
    follow_up = call.follow_up
    if not follow_up.enabled:
        return Answer("It was disabled before the call was accepted.")
    try:
        settings = SETTINGS.unsealed(org, follow_up)
    except SecretUnreadable:
        return Answer("The secret cannot be decrypted: enter it again.")
    return KINDS[follow_up.kind].call(cast(Payload, call.payload), settings)


def _record(call: FollowUpCall, answer: Answer) -> None:
    """Store the answer. If this worker was slower than CLAIM, another one has begun the next attempt, whose answer counts."""
    now = timezone.now()
    first_attempt_at = call.first_attempt_at or now
    at = (
        None
        if call.payload["kind"] == CallKind.TEST
        else time_of_next_attempt(
            answer, attempt=call.attempts, first_attempt_at=first_attempt_at, now=now
        )
    )
    with org_scope(call.org_id):
        rows = FollowUpCall.objects.for_org(call.org_id).filter(pk=call.pk, state=CallState.PENDING)
        answered = {
            "answer_status": answer.status,
            "answer": answer.text[:500],
            "problem": answer.problem[:300],
        }
        if answer.accepted:
            rows.update(state=CallState.SENT, sent_at=now, **answered)
        elif at is None:
            rows.filter(attempts=call.attempts).update(state=CallState.FAILED, **answered)
        else:
            rows.filter(attempts=call.attempts).update(next_attempt_at=at, **answered)
    if not answer.accepted:
        logger.info("follow-up not accepted", call=str(call.pk), status=answer.status)
