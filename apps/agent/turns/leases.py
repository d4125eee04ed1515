"""The lease of a turn. Whatever a worker writes for a turn requires that it still holds the turn's lease."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection
from django.db.models import F, Q
from django.utils import timezone

from apps.agent.exceptions import StopRequested, TurnLeaseLost
from apps.agent.models import Turn, TurnStatus
from apps.agent.turns import ending, queue
from apps.agent.turns.acting import acting_member
from apps.orgs.walls.scope import org_scope

TURN_FIELDS = [field.attname for field in Turn._meta.concrete_fields if field.name != "transcript"]
SELECT_TURN = f"""
    SELECT {", ".join(TURN_FIELDS)} FROM agent_turn WHERE org_id = %s AND id = %s AND lease = %s
"""  # noqa: S608 - column names of our own model; values are parameters
MAX_ATTEMPTS = 5  # after this many begun attempts without an end the turn fails


@dataclass(frozen=True, slots=True)
class ClaimedTurn:
    """A turn that this worker runs."""

    org_id: UUID
    turn_id: UUID
    conversation_id: UUID
    number: int
    lease: UUID


def claim(org_id: UUID, turn_id: UUID, worker: str) -> ClaimedTurn | None:
    """Take the lease of a turn. Returns None if the turn has ended or another worker holds its lease."""
    lease, now = uuid4(), timezone.now()
    with org_scope(org_id):
        free = Q(lease__isnull=True) | Q(lease_until__lt=now)
        moved = (
            Turn.objects.for_org(org_id)
            .filter(free, pk=turn_id, status__in=[TurnStatus.PENDING, TurnStatus.RUNNING])
            .update(
                status=TurnStatus.RUNNING,
                lease=lease,
                lease_until=now + settings.AGENT_LEASE,
                worker=worker,
                attempts=F("attempts") + 1,
                started_at=now,
            )
        )
        if not moved:
            return None
        turn = Turn.objects.for_org(org_id).get(pk=turn_id)
        claimed = ClaimedTurn(org_id, turn_id, turn.conversation_id, turn.number, lease)
        if turn.attempts > MAX_ATTEMPTS:
            ending.end(
                org_id=org_id,
                turn=turn,
                status=TurnStatus.FAILED,
                code="crashed",
                message="The worker stopped several times while it worked on this message.",
                next_step="Try again, or ask an operator to look at the worker's log.",
            )
            return None
    return claimed


def locked(claimed: ClaimedTurn) -> Turn:
    """Return the turn with its row locked, inside the org's scope, without its transcript. Raises TurnLeaseLost.

    A turn calls it in each of its transactions, so the statement is not built anew each time.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"{SELECT_TURN} FOR UPDATE", [claimed.org_id, claimed.turn_id, claimed.lease]
        )
        row = cursor.fetchone()
    if row is None:
        raise TurnLeaseLost
    return Turn.from_db("default", TURN_FIELDS, row)


def locked_unless_stopped(claimed: ClaimedTurn) -> Turn:
    """Return the turn as `locked` does. Raises StopRequested as well, so that nothing new begins after a stop."""
    turn = locked(claimed)
    if turn.stop_requested_at is not None:
        raise StopRequested
    return turn


def renew(claimed: ClaimedTurn) -> bool:
    """Renew the lease. Returns whether the user has asked to stop the turn. Raises TurnLeaseLost.

    Raises AuthenticationFailed if the user is not a member any more.
    """
    with org_scope(claimed.org_id):
        rows = Turn.objects.for_org(claimed.org_id).filter(pk=claimed.turn_id, lease=claimed.lease)
        if not rows.update(lease_until=timezone.now() + settings.AGENT_LEASE):
            raise TurnLeaseLost
        turn = rows.get()
        acting_member(turn)
        return turn.stop_requested_at is not None


def void(org_id: UUID, turn_id: UUID, lease: UUID) -> None:
    """End this lease, because its worker has died. The turn counts as lost, as if the lease had expired."""
    with org_scope(org_id):
        rows = Turn.objects.for_org(org_id).filter(pk=turn_id, lease=lease)
        rows.update(lease_until=timezone.now() - timedelta(seconds=1))


def hand_back(claimed: ClaimedTurn, *, seconds: float, counts: bool) -> None:
    """Give the turn back to the queue. `counts` says whether this was one of its MAX_ATTEMPTS."""
    with org_scope(claimed.org_id):
        Turn.objects.for_org(claimed.org_id).filter(pk=claimed.turn_id, lease=claimed.lease).update(
            lease=None,
            lease_until=None,
            status=TurnStatus.PENDING,
            attempts=F("attempts") - (0 if counts else 1),
        )
        queue.run_turn(org_id=claimed.org_id, turn_id=claimed.turn_id, seconds=seconds)
