"""Store the tokens of an answer as events, several at a time, and count the tokens that were used.

This is one statement over the turn's own connection. It stores nothing if the worker has lost the lease of the turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from django.db import connection as django_connection
from langchain_core.messages import AIMessage
from langgraph.types import StateSnapshot

from apps.agent.chat_models import budgets
from apps.agent.chat_models.meters import Meter
from apps.agent.conversations.events import (
    ConversationEvent,
    Kind,
    StoredEvent,
    new_event,
    record,
    statement_with_events,
    stored,
)
from apps.agent.exceptions import TurnLeaseLost
from apps.agent.models import Turn
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.thread_saver import NO_QUERIES, ThreadSaver
from apps.live.events import NewEvent, Statement
from apps.orgs.walls.scope import org_scope

INTERVAL = 0.04  # seconds between two commits
FIRST_WAIT = 0.005  # seconds until the first token is stored, together with others that arrive at the same time

# Finds the turn only while this worker holds its lease.
ALLOWED = """
    allowed AS MATERIALIZED (
        SELECT id FROM agent_turn WHERE org_id = %(org)s AND id = %(turn)s AND lease = %(lease)s FOR UPDATE
    ),"""
COUNT_TOKENS = """
    counted AS (
        UPDATE agent_turn AS turn SET
            input_tokens = turn.input_tokens + %(input_tokens)s,
            output_tokens = turn.output_tokens + %(output_tokens)s
        FROM allowed WHERE turn.id = allowed.id
    ),"""


class TokenWriter:
    """Collects the tokens of one turn, and stores what was collected every 40 ms, and the first token after 5 ms."""

    def __init__(self, claimed: ClaimedTurn, saver: ThreadSaver) -> None:
        self._claimed = claimed
        self._saver = saver
        self._collected: dict[str, list[str]] = {}
        self._lengths: dict[str, int] = {}  # characters that were collected of each message
        self._complete: set[str] = set()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._flushed_at = 0.0  # the loop's time
        self._failure: Exception | None = None  # of a flush for which nobody waited

    def add(self, message_id: str, text: str) -> None:
        """Collect a token. It is stored a moment later. Does nothing if the message is complete."""
        if message_id in self._complete:
            return
        text = storable_text(text)
        self._lengths[message_id] = self._lengths.get(message_id, 0) + len(text)
        self._collected.setdefault(message_id, []).append(text)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._flush_soon())

    def complete(self, message_id: str, text: str) -> None:
        """Collect the whole text of a message. Flush before the calls that the model asks for in it are carried out.

        The graph delivers tokens later than the message, so some of them may not have been added yet.
        """
        self.add(message_id, text[self._lengths.get(message_id, 0) :])
        self._complete.add(message_id)

    async def flush(self) -> None:
        """Store everything that was collected, and what was to be stored with the next checkpoint. Raises TurnLeaseLost."""
        await self._saver.store_held()
        await self._store_collected()

    async def flush_with_next_checkpoint(self, meter: Meter | None = None) -> None:
        """Store everything that was collected with the next checkpoint, and the tokens that the meter has counted."""
        async with self._lock:
            events = self._take_events()
            if events or (meter is not None and meter.is_used):
                make_statement = partial(_statement, self._claimed, events, meter)
                await self._saver.store_with_next_checkpoint(make_statement)

    async def _store_collected(self) -> None:
        async with self._lock:
            events = self._take_events()
            if events:
                await self._store(events)

    async def _store(self, events: Sequence[NewEvent]) -> None:
        statement = _statement(self._claimed, events, None, NO_QUERIES)
        cursor = await self._saver.connection.execute(statement.text, statement.values)
        if await cursor.fetchone() is None:
            raise TurnLeaseLost

    def _take_events(self) -> Sequence[NewEvent]:
        if self._failure is not None:
            raise self._failure
        collected, self._collected = self._collected, {}
        return [
            new_event(Kind.TOKEN, self._claimed.number, message=message, text="".join(texts))
            for message, texts in collected.items()
        ]

    async def _flush_soon(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(FIRST_WAIT, self._flushed_at + INTERVAL - now))
        self._flushed_at = asyncio.get_running_loop().time()
        try:
            await self._store_collected()
        except Exception as error:  # raised again by the next flush, which the turn waits for
            self._failure = error


def count_tokens(claimed: ClaimedTurn, meter: Meter) -> None:
    """Add the tokens of the meter to the turn and to the month, over a connection of Django. Raises TurnLeaseLost."""
    if not meter.is_used:
        return
    statement = _statement(claimed, [], meter, NO_QUERIES)
    with org_scope(claimed.org_id), django_connection.cursor() as cursor:
        cursor.execute(statement.text, statement.values)
        if cursor.fetchone() is None:
            raise TurnLeaseLost


def _statement(
    claimed: ClaimedTurn, events: Sequence[NewEvent], meter: Meter | None, other_queries: Statement
) -> Statement:
    """Return the statement that stores events, counts tokens, and makes other queries.

    It returns a row if the worker still holds the lease of the turn.
    """
    lease = {"org": claimed.org_id, "turn": claimed.turn_id, "lease": claimed.lease}
    queries = Statement(ALLOWED, lease) + other_queries
    if meter is not None and meter.is_used:
        queries += _counting_queries(claimed, meter)
    if events:
        return statement_with_events(queries, claimed.org_id, claimed.conversation_id, *events)
    text = f"WITH {queries.text.removesuffix(',')} SELECT id FROM allowed"  # noqa: S608 - our own text; values are parameters
    return Statement(text, queries.values)


def _counting_queries(claimed: ClaimedTurn, meter: Meter) -> Statement:
    spent = budgets.add_usage_statement(
        claimed.org_id, meter.input_tokens, meter.output_tokens, source="FROM allowed"
    )
    return Statement(f"{COUNT_TOKENS} spent AS ({spent.text}),", spent.values)


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot store: a NUL becomes a visible symbol, half a character a `?`."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\u2400")


def complete_events(
    turn: Turn, state: StateSnapshot, *, discard: bool
) -> Sequence[ConversationEvent]:
    """Store the tokens that are missing in the events although the answer is in the thread. Returns the turn's events.

    This happens after a crash between the two. With `discard`, messages of this turn that are not in the thread are
    announced as discarded, because the model begins them anew. Call it with the turn's row locked.
    """
    shown = stored(turn.org_id, turn.conversation_id, first=turn.first_event)
    missing = missing_events(turn, state, shown, discard=discard)
    if missing:
        record(turn.org_id, turn.conversation_id, *missing)
    return [*shown, *missing]


def missing_events(
    turn: Turn, state: StateSnapshot, shown: Sequence[StoredEvent], *, discard: bool = False
) -> Sequence[NewEvent]:
    """Return the events that `complete_events` stores. `shown` are the turn's events that are stored."""
    return list(_missing_events(turn, shown, _answers_of_turn(state, turn), discard=discard))


def _missing_events(
    turn: Turn,
    events: Sequence[StoredEvent],
    answers_of_turn: Mapping[str, str],
    *,
    discard: bool,
) -> Iterator[NewEvent]:
    shown_texts = _texts_by_message(events)
    for message, text in answers_of_turn.items():
        shown = shown_texts.get(message, "")
        if not text.startswith(shown):
            yield new_event(Kind.MESSAGE_DISCARDED, turn.number, message=message)
            shown = ""
        if missing := text[len(shown) :]:
            yield new_event(Kind.TOKEN, turn.number, message=message, text=missing)
    if discard:
        for message in shown_texts:
            if message not in answers_of_turn:
                yield new_event(Kind.MESSAGE_DISCARDED, turn.number, message=message)


def _texts_by_message(events: Sequence[StoredEvent]) -> dict[str, str]:
    """Return {message id: text} of the token events, without discarded messages."""
    texts: dict[str, str] = {}
    for event in events:
        if event.kind == Kind.TOKEN:
            message = event.body["message"]
            texts[message] = texts.get(message, "") + event.body["text"]
        elif event.kind == Kind.MESSAGE_DISCARDED:
            texts.pop(event.body["message"], None)
    return texts


def _messages_of_turn(state: StateSnapshot, turn: Turn) -> list[AIMessage]:
    messages = state.values.get("messages", [])
    positions = [i for i, message in enumerate(messages) if message.id == str(turn.pk)]
    if not positions:
        return []
    return [message for message in messages[positions[0] :] if isinstance(message, AIMessage)]


def _answers_of_turn(state: StateSnapshot, turn: Turn) -> dict[str, str]:
    """Return {message id: text} of the model's answers in this turn."""
    return {
        str(message.id): message.text for message in _messages_of_turn(state, turn) if message.text
    }
