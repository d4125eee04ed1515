"""Store the tokens of an answer as events, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from langchain_core.messages import AIMessage
from langgraph.types import StateSnapshot

from apps.agent.conversations.events import Kind, new_event, record, stored
from apps.agent.models import Turn
from apps.agent.turns import leases
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.threads import in_thread
from apps.live.events import NewEvent
from apps.orgs.walls.scope import org_scope

INTERVAL = 0.04  # seconds between two commits
FIRST_WAIT = 0.005  # seconds until the first token is stored, together with others that arrive at the same time


class TokenWriter:
    """Collects the tokens of one turn, and stores what was collected every 40 ms, and the first token after 5 ms."""

    def __init__(self, claimed: ClaimedTurn) -> None:
        self._claimed = claimed
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

    async def flush(self, also: Callable[[Turn], None] | None = None) -> None:
        """Store everything that was collected. Raises TurnLeaseLost.

        `also` is called with the locked turn in the same transaction.
        """
        if self._failure is not None:
            raise self._failure
        async with self._lock:
            collected, self._collected = self._collected, {}
            if not collected and also is None:
                return
            events = [
                new_event(Kind.TOKEN, self._claimed.number, message=message, text="".join(texts))
                for message, texts in collected.items()
            ]
            await in_thread(partial(store, self._claimed, events, also))

    async def _flush_soon(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(FIRST_WAIT, self._flushed_at + INTERVAL - now))
        self._flushed_at = asyncio.get_running_loop().time()
        try:
            await self.flush()
        except Exception as error:  # raised again by the next flush, which the turn waits for
            self._failure = error


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot store: a NUL becomes a visible symbol, half a character a `?`."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\u2400")


def store(
    claimed: ClaimedTurn, events: Sequence[NewEvent], also: Callable[[Turn], None] | None = None
) -> None:
    """Store events of a turn. Raises TurnLeaseLost. `also` is called with the locked turn."""
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        if events:
            record(claimed.org_id, claimed.conversation_id, *events)
        if also is not None:
            also(turn)


def complete_events(turn: Turn, state: StateSnapshot, *, discard: bool) -> None:
    """Store the tokens that are missing in the events although the answer is in the thread.

    This happens after a crash between the two. With `discard`, messages of this turn that are not in the thread are
    announced as discarded, because the model begins them anew. Call it with the turn's row locked.
    """
    events = list(_missing_events(turn, _answers_of_turn(state, turn), discard=discard))
    if events:
        record(turn.org_id, turn.conversation_id, *events)


def _missing_events(
    turn: Turn, answers_of_turn: Mapping[str, str], *, discard: bool
) -> Iterator[NewEvent]:
    shown_texts = _stored_texts(turn)
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


def _stored_texts(turn: Turn) -> dict[str, str]:
    """Return {message id: text} of this turn's token events, without discarded messages."""
    texts: dict[str, str] = {}
    for event in stored(turn.org_id, turn.conversation_id, first=turn.first_event):
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
