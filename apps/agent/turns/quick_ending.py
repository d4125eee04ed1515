"""End an answered turn over its own connection, with one statement that reads and one that writes.

This needs no transaction and no other thread. Whatever is unusual is left to `turns.ending`: a stop, a request that
nobody has decided, tokens that are missing in the events, or an event that somebody else has stored meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import psycopg
from django.utils import timezone
from langgraph.types import StateSnapshot
from psycopg.rows import tuple_row

from apps.agent.conversations import transcripts
from apps.agent.conversations.events import StoredEvent, statement_with_events
from apps.agent.models import Turn, TurnStatus
from apps.agent.turns import ending, leases, tokens
from apps.agent.turns.leases import ClaimedTurn
from apps.live.events import Statement

# The events are numbered without gaps, so the newest number says whether another event was stored meanwhile.
TURN_AND_EVENTS = f"""
    SELECT {leases.columns_of("turn")}, c.event_sequence, (
        SELECT json_agg(json_build_array(e.kind, e.body) ORDER BY e.sequence)::text FROM agent_event e
        WHERE e.org_id = turn.org_id AND e.conversation_id = turn.conversation_id AND e.sequence >= turn.first_event
    )
    FROM ({leases.SELECT_TURN}) turn
    JOIN agent_conversation c ON c.org_id = turn.org_id AND c.id = turn.conversation_id
    WHERE turn.stop_requested_at IS NULL
"""  # noqa: S608 - column names of our own model; values are parameters
# The turn is locked before the conversation, as everywhere.
LOCK_UNCHANGED = """
    locked_turn AS MATERIALIZED (
        SELECT id FROM agent_turn
        WHERE org_id = %(org)s AND id = %(turn)s AND lease = %(lease)s AND stop_requested_at IS NULL FOR UPDATE
    ),
    unchanged AS MATERIALIZED (
        SELECT c.id FROM locked_turn, agent_conversation c
        WHERE c.org_id = %(org)s AND c.id = %(key)s AND c.event_sequence = %(newest)s FOR NO KEY UPDATE OF c
    ),"""
IF_UNCHANGED = "AND EXISTS (SELECT FROM unchanged)"


async def end_answered(
    connection: psycopg.AsyncConnection[Any],
    claimed: ClaimedTurn,
    state: StateSnapshot,
    warning: str | None,
) -> bool:
    """End the turn as done. Returns False, and changes nothing, if `ending.end` has to do it.

    The connection must have the org's scope. `warning` is what to tell the user about the tokens of the month. If it is
    None, a turn that has used tokens is left to `ending.end`.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(TURN_AND_EVENTS, leases.parameters(claimed))
        row = await cursor.fetchone()
        statement = None if row is None else _statement(claimed, row, state, warning)
        if statement is None:
            return False
        await cursor.execute(statement.text, statement.values)
        return await cursor.fetchone() is not None


def _statement(
    claimed: ClaimedTurn, row: Sequence[Any], state: StateSnapshot, warning: str | None
) -> Statement | None:
    turn = leases.turn_of_row(row)
    newest, events_json = row[len(leases.TURN_FIELDS) :]
    events = [StoredEvent(kind, body) for kind, body in orjson.loads(events_json)]
    if (turn.input_tokens and warning is None) or ending.has_open_items(turn, events):
        return None
    if tokens.missing_events(turn, state, events):
        return None
    return _end_if_unchanged(claimed, turn, events, newest, warning or "")


def _end_if_unchanged(
    claimed: ClaimedTurn, turn: Turn, events: list[StoredEvent], newest: int, warning: str
) -> Statement:
    last_events = ending.closing_events(turn, TurnStatus.DONE, warning)
    turn.transcript = transcripts.transcript_of(turn, [*events, *last_events])
    turn.status, turn.finished_at = TurnStatus.DONE, timezone.now()
    lock = Statement(LOCK_UNCHANGED, {**leases.parameters(claimed), "newest": newest})
    queries = lock + ending.end_statement(turn, IF_UNCHANGED)
    return statement_with_events(queries, turn.org_id, turn.conversation_id, *last_events)
