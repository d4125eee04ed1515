"""The lease of a turn. Whatever a worker writes for a turn requires that it still holds the turn's lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from django.conf import settings
from django.db import connection as django_connection
from django.db.models import F
from django.utils import timezone
from psycopg.rows import tuple_row
from psycopg.types.string import TextLoader

from apps.agent.exceptions import StopRequested, TurnLeaseLost
from apps.agent.models import Graph, ModelSettings, Turn, TurnStatus
from apps.agent.turns import queue
from apps.agent.turns.acting import MEMBER_COLUMNS, MEMBER_TABLES, acting_member
from apps.orgs.walls.scope import org_scope

TURN_FIELDS = [field.attname for field in Turn._meta.concrete_fields if field.name != "transcript"]


def columns_of(table: str) -> str:
    """Return the columns of a turn that has this name in a statement, without its transcript."""
    return ", ".join(f"{table}.{field}" for field in TURN_FIELDS)


SELECT_TURN = f"""
    SELECT {", ".join(TURN_FIELDS)} FROM agent_turn
    WHERE org_id = %(org)s AND id = %(turn)s AND lease = %(lease)s
"""  # noqa: S608 - column names of our own model; values are parameters
MODEL_FIELDS = [field.attname for field in ModelSettings._meta.concrete_fields]
TAKE_LEASE = f"""
    WITH turn AS (
        UPDATE agent_turn t
        SET status = 'running', lease = %(lease)s, lease_until = %(until)s, worker = %(worker)s,
            attempts = t.attempts + 1, started_at = %(now)s
        WHERE t.org_id = %(org)s AND t.id = %(turn)s AND t.status IN ('pending', 'running')
          AND (t.lease IS NULL OR t.lease_until < %(now)s)
        RETURNING {columns_of("t")}
    )
    SELECT {columns_of("turn")}, c.graph, EXISTS (
        SELECT FROM agent_turn e WHERE e.org_id = turn.org_id AND e.conversation_id = turn.conversation_id
        AND e.number = turn.number - 1 AND e.status IN ('failed', 'stopped')
    ), {", ".join(f"m.{field}" for field in MODEL_FIELDS)}, {MEMBER_COLUMNS}
    FROM turn JOIN agent_conversation c ON c.org_id = turn.org_id AND c.id = turn.conversation_id {MEMBER_TABLES}
"""  # noqa: S608 - as above
STORE_MODEL_AND_PROMPT = """
    UPDATE agent_turn SET model = %(model)s, prompt = %(prompt)s
    WHERE org_id = %(org)s AND id = %(turn)s AND lease = %(lease)s RETURNING id
"""
MODEL_LENGTH = 120  # characters, see models.Turn
MAX_ATTEMPTS = 5  # after this many begun attempts without an end the turn fails


@dataclass(frozen=True, slots=True)
class ClaimedTurn:
    """A turn that this worker runs."""

    org_id: UUID
    turn_id: UUID
    conversation_id: UUID
    number: int
    lease: UUID
    graph: Graph  # in which the conversation was when the turn was claimed


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed turn with its row, the row of the member for whom it acts, and the org's own model."""

    claimed: ClaimedTurn
    turn: Turn
    member: Sequence[Any]  # see `acting.member_of_row`
    own_model: ModelSettings | None
    is_after_failure: bool  # whether the turn before it has failed or was stopped


async def claim(
    connection: psycopg.AsyncConnection[Any], org_id: UUID, turn_id: UUID, worker: str
) -> Claim | None:
    """Take the lease of a turn. Returns None if the turn has ended or another worker holds its lease.

    The connection must have the org's scope.
    """
    lease, now = uuid4(), timezone.now()
    values: dict[str, Any] = {
        "org": org_id,
        "turn": turn_id,
        "lease": lease,
        "until": now + settings.AGENT_LEASE,
        "worker": worker,
        "now": now,
    }
    async with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.adapters.register_loader("inet", TextLoader)  # as Django's connections do
        await cursor.execute(TAKE_LEASE, values)
        row = await cursor.fetchone()
    return None if row is None else _claim_of_row(row)


def _claim_of_row(row: Sequence[Any]) -> Claim:
    turn = turn_of_row(row)
    graph, is_after_failure, *others = row[len(TURN_FIELDS) :]
    model, member = others[: len(MODEL_FIELDS)], others[len(MODEL_FIELDS) :]
    if turn.lease is None:
        raise LookupError("the turn was taken without a lease")
    claimed = ClaimedTurn(
        turn.org_id, turn.pk, turn.conversation_id, turn.number, turn.lease, Graph(graph)
    )
    has_model = model[MODEL_FIELDS.index("id")] is not None
    own = ModelSettings.from_db("default", MODEL_FIELDS, model) if has_model else None
    return Claim(claimed, turn, member, own, is_after_failure)


async def store_model_and_prompt(
    connection: psycopg.AsyncConnection[Any], claimed: ClaimedTurn, *, model: str, prompt: str
) -> None:
    """Store the language model and the versions of prompts that the turn uses. Raises TurnLeaseLost.

    The connection must have the org's scope.
    """
    values = {**parameters(claimed), "model": model[:MODEL_LENGTH], "prompt": prompt}
    cursor = await connection.execute(STORE_MODEL_AND_PROMPT, values)
    if await cursor.fetchone() is None:
        raise TurnLeaseLost


def locked(claimed: ClaimedTurn) -> Turn:
    """Return the turn with its row locked, inside the org's scope, without its transcript. Raises TurnLeaseLost.

    A turn calls it in each of its transactions, so the statement is not built anew each time.
    """
    with django_connection.cursor() as cursor:
        cursor.execute(f"{SELECT_TURN} FOR UPDATE", parameters(claimed))
        row = cursor.fetchone()
    if row is None:
        raise TurnLeaseLost
    return turn_of_row(row)


def locked_unless_stopped(claimed: ClaimedTurn) -> Turn:
    """Return the turn as `locked` does. Raises StopRequested as well, so that nothing new begins after a stop."""
    turn = locked(claimed)
    require_not_stopped(turn)
    return turn


def require_not_stopped(turn: Turn) -> None:
    """Raise StopRequested if the user has asked to stop the turn."""
    if turn.stop_requested_at is not None:
        raise StopRequested


def parameters(claimed: ClaimedTurn) -> dict[str, Any]:
    """Return the values that a statement needs to find the turn while this worker holds its lease."""
    return {"org": claimed.org_id, "turn": claimed.turn_id, "lease": claimed.lease}


def turn_of_row(row: Sequence[Any]) -> Turn:
    """Return the turn of a row that begins with its columns."""
    return Turn.from_db("default", TURN_FIELDS, row[: len(TURN_FIELDS)])


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
