"""Replace the old messages of a long thread by notes, before a new message is put into it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from langchain_core.messages import AnyMessage, RemoveMessage
from langgraph.types import StateSnapshot

from apps.agent.graphs import history, prompts, summaries
from apps.agent.graphs.history import Limits
from apps.agent.graphs.middleware import GraphContext
from apps.agent.graphs.prompts import Prompt
from apps.agent.turns import leases
from apps.agent.turns.leases import ClaimedTurn
from apps.agent.turns.loop import in_thread
from apps.orgs.walls.scope import org_scope


async def replace_old_messages(
    graph: Any, config: Any, context: GraphContext, state: StateSnapshot
) -> None:
    """Replace the old messages if the thread is long. All turns in it must have ended. Raises ModelFailed.

    This is not done inside of a turn, because the runner compares the turn's messages with its events after a crash.
    """
    limits = history.limits_of(context.model)
    old, _ = history.split(state.values.get("messages", []), limits.history)
    if not old:
        return
    notes = await _notes(context, state.values.get("notes", ""), old, limits)
    removals = [RemoveMessage(id=str(message.id)) for message in old]
    await graph.aupdate_state(config, {"messages": removals, "notes": notes}, as_node="tools")


async def _notes(
    context: GraphContext, notes: str, messages: Sequence[AnyMessage], limits: Limits
) -> str:
    """Return the notes about the messages. Guided mode does not read them, but another model may read them later."""
    if context.is_guided:
        return summaries.quote(notes, messages)
    prompt = prompts.load_summary()
    await in_thread(partial(_store_version, context.claimed, prompt))
    readable = limits.history + limits.answers
    async with context.spending.count_tokens():
        return await summaries.write(context.model, prompt.text, notes, messages, readable)


def _store_version(claimed: ClaimedTurn, prompt: Prompt) -> None:
    with org_scope(claimed.org_id):
        turn = leases.locked(claimed)
        turn.prompt = prompts.add_version(turn.prompt, prompt)
        turn.save(update_fields=["prompt"])
