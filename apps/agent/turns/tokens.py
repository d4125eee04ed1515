"""Store the tokens of an answer as events, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from apps.agent.conversations.events import Kind, new_event, record
from apps.agent.turns import leases
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.threads import in_thread
from apps.live.events import NewEvent
from apps.orgs.walls.scope import org_scope

INTERVAL = 0.04  # seconds between two commits


class TokenWriter:
    """Collects the tokens of one turn, and stores what was collected every 40 ms."""

    def __init__(self, claimed: ClaimedTurn) -> None:
        self._claimed = claimed
        self._collected: dict[str, list[str]] = {}
        self._lengths: dict[str, int] = {}  # characters that were collected of each message
        self._complete: set[str] = set()
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
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

    async def complete(self, message_id: str, text: str) -> None:
        """Store the whole text of a message, before the calls that the model asks for in it are carried out.

        The graph delivers tokens later than the message, so some of them may not have been added yet.
        """
        self.add(message_id, text[self._lengths.get(message_id, 0) :])
        self._complete.add(message_id)
        await self.flush()

    async def flush(self) -> None:
        """Store everything that was collected. Raises TurnLeaseLost."""
        if self._failure is not None:
            raise self._failure
        async with self._lock:
            collected, self._collected = self._collected, {}
            if not collected:
                return
            events = [
                new_event(Kind.TOKEN, self._claimed.number, message=message, text="".join(texts))
                for message, texts in collected.items()
            ]
            await in_thread(partial(store, self._claimed, events))

    async def _flush_soon(self) -> None:
        await asyncio.sleep(INTERVAL)
        try:
            await self.flush()
        except Exception as error:  # raised again by the next flush, which the turn waits for
            self._failure = error


def storable_text(text: str) -> str:
    """Return the text without what PostgreSQL cannot store: a NUL becomes a visible symbol, half a character a `?`."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\u2400")


def store(claimed: ClaimedTurn, events: Sequence[NewEvent]) -> None:
    """Store events of a turn. Raises TurnLeaseLost."""
    with org_scope(claimed.org_id):
        leases.locked(claimed)
        record(claimed.org_id, claimed.conversation_id, *events)
