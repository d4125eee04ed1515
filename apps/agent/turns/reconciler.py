"""Find turns whose worker has died, and approvals that have expired."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

from apps.agent.approvals import closing
from apps.agent.models import Approval, ApprovalState, Turn
from apps.agent.turns import leases, queue
from apps.orgs.walls.scope import org_scope


def reconcile() -> int:
    """Defer a job for each turn without a live lease, and expire approvals. Returns how many rows it handled."""
    for org_id, turn_id, lease in _rows(
        "SELECT org_id, turn_id, lease FROM agent_unlocked_turns()"
    ):
        leases.void(org_id, turn_id, lease)
    turns = _rows("SELECT org_id, turn_id FROM agent_lost_turns()")
    for org_id, turn_id in turns:
        with org_scope(org_id):
            queue.run_turn(org_id=org_id, turn_id=turn_id)
    expired = _rows("SELECT org_id, approval_id FROM agent_expired_approvals()")
    for org_id, approval_id in expired:
        _expire(org_id, approval_id)
    return len(turns) + len(expired)


def _expire(org_id: UUID, approval_id: UUID) -> None:
    with org_scope(org_id):
        found = Approval.objects.for_org(org_id).get(pk=approval_id)
        turn = Turn.objects.for_org(org_id).select_for_update().get(pk=found.turn_id)
        request = Approval.objects.for_org(org_id).select_for_update().get(pk=approval_id)
        if request.state == ApprovalState.OPEN:
            closing.expire(turn, request)


def _rows(statement: str) -> list[tuple[UUID, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())
