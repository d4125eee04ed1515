"""Talk to the agent over the API, and check that nothing of a conversation was lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection

from apps.agent.conversations import transcripts
from apps.agent.models import Event, Turn
from apps.agent.turns import loop, reconciler
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Role
from tests.world import World


@dataclass
class Talk:
    """One conversation of one member."""

    world: World
    client: Any
    id: str

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(
            f"/api/v1/agent/conversations/{self.id}/{path}", body, format="json"
        )

    def send(self, text: str, **place: str) -> Any:
        """Send a message, from this `page` and in this `timezone` if they are given."""
        answer = self.post("messages", text=text, **place)
        assert answer.status_code == 202, answer.json()
        return answer

    def decide(self, approval: str, decision: str = "approve", **body: Any) -> Any:
        return self.post(f"approvals/{approval}", decision=decision, **body)

    def turns(self) -> list[Any]:
        shown = self.client.get(f"/api/v1/agent/conversations/{self.id}").json()
        turns: list[Any] = shown["turns"]
        return turns

    def turn(self) -> Any:
        return self.turns()[-1]

    def open_request(self) -> Any:
        """Return the only request that waits for a decision."""
        (request,) = [item for item in self.turn()["items"] if item.get("state") == "open"]
        return request

    def row(self) -> Turn:
        """Return the newest turn."""
        with self.world.scope():
            rows = Turn.objects.for_org(self.world.org).filter(conversation_id=self.id)
            return rows.order_by("-number")[0]

    def work(self) -> None:
        """Run the newest turn in this process."""
        loop.run_turn(self.world.org.pk, self.row().pk, "tests")

    def events(self) -> list[tuple[int, str, Any]]:
        with self.world.scope():
            rows = Event.objects.for_org(self.world.org).filter(conversation_id=self.id)
            return list(rows.order_by("sequence").values_list("sequence", "kind", "body"))

    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.events()]

    def wait_for(self, condition: Callable[[Talk], Any], seconds: float = 60) -> None:
        """Wait until the condition is true."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < deadline, self.turns()
            connection.close()
            time.sleep(0.05)


def begin(world: World, text: str = "", role: Role = Role.MEMBER) -> Talk:
    """Begin a conversation, with this message if it is not empty."""
    client = world.client(role)
    created = client.post("/api/v1/agent/conversations", {}, format="json")
    talk = Talk(world, client, created.json()["id"])
    if text:
        talk.send(text)
    return talk


def take_over(talk: Talk) -> None:
    """Wait until the reconciler finds the lost turn, and run it in this process."""
    deadline = time.monotonic() + 40
    while not reconciler.reconcile():
        assert time.monotonic() < deadline, "no turn was lost"
        time.sleep(0.1)
    talk.work()


def thread_messages(talk: Talk) -> list[Any]:
    """Return the messages of the conversation's thread."""
    return list(thread_values(talk).get("messages", []))


def thread_values(talk: Talk) -> dict[str, Any]:
    """Return the stored values of the conversation's thread."""
    from apps.agent.graphs import main
    from apps.agent.turns import checkpoints

    async def read() -> dict[str, Any]:
        async with checkpoints.open_saver(talk.world.org.pk, UUID(talk.id)) as saver:
            state = await main.build(saver).aget_state({"configurable": {"thread_id": talk.id}})
            return dict(state.values)

    return asyncio.run(read())


def assert_nothing_is_lost_or_doubled(talk: Talk) -> list[Any]:
    """Check that the events are numbered 1 to n, and that their texts are those of the thread.

    The oldest texts may be missing in the thread, if it has notes about them. Returns the thread's messages.
    """
    events = talk.events()
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    thread = thread_values(talk)
    messages: list[Any] = thread.get("messages", [])
    texts = {str(m.id): m.text for m in messages if m.type == "ai" and m.text}
    items: list[Any] = []
    for _, kind, body in events:
        transcripts.apply(items, kind, body)
    told = [(item["id"], item["text"]) for item in items if item["type"] == "message"]
    assert dict(told[len(told) - len(texts) :]) == texts
    assert len(told) == len(texts) or thread["notes"]
    ids = [item["id"] for item in items if item["type"] == "call"]
    assert len(ids) == len(set(ids))
    shown = [item for turn in talk.turns() for item in turn["items"] if item["type"] == "message"]
    assert [(item["id"], item["text"]) for item in shown] == told
    return messages


def effects(world: World) -> list[str]:
    """Return the audit actions of the agent that changed a pipeline."""
    with world.scope():
        rows = AuditEvent.objects.for_org(world.org).filter(action__startswith="pipeline.")
        return list(rows.filter(actor_kind="agent").values_list("action", flat=True))
