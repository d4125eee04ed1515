"""Decide how much of a conversation a model is sent.

Old turns are replaced by notes before a new message (`split`, `graphs.summaries`). Inside of a turn only what the model
is sent becomes shorter, because the thread is what the turn continues from after a crash (`shorten_answers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langchain_core.messages.utils import count_tokens_approximately

from apps.agent.graphs import prompts
from apps.agent.sources import marking

OTHER_TOKENS = 10_000  # the system prompt, the schemas of the tools, and the answer
MIN_TOKENS = 2_000
# Also of models with more space, because each of their calls costs as much.
MAX_HISTORY_TOKENS = 16_000
MAX_ANSWER_TOKENS = 60_000
SHORT_ANSWER = 400  # characters; shorter answers of tools are always kept
LEFT_OUT = {
    "success": "(The call succeeded. Its answer was left out here, because the conversation is long.)",
    "error": "(The call failed. Its answer was left out here, because the conversation is long.)",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tokens of a model's context are for earlier turns, and for all answers of tools."""

    history: int
    answers: int


def limits_of(model: BaseChatModel) -> Limits:
    """Return the limits for a model. Only providers' well-known models say how much they can read."""
    profile = getattr(getattr(model, "inner", model), "profile", None) or {}
    size = profile.get("max_input_tokens") or settings.AGENT_MODEL_CONTEXT_TOKENS
    share = max(MIN_TOKENS, (int(size) - OTHER_TOKENS) * 2 // 5)
    return Limits(min(share, MAX_HISTORY_TOKENS), min(share, MAX_ANSWER_TOKENS))


def split(messages: Sequence[AnyMessage], limit: int) -> tuple[list[AnyMessage], list[AnyMessage]]:
    """Return the messages to replace by notes, and the newest whole turns that stay. Nothing is replaced below the limit.

    The turns that stay fill half of the limit, so that this happens once in many turns.
    """
    if count_tokens_approximately(messages) <= limit:
        return [], [*messages]
    starts = [n for n, message in enumerate(messages) if isinstance(message, HumanMessage)]
    fitting = (n for n in starts if count_tokens_approximately(messages[n:]) <= limit // 2)
    first = next(fitting, len(messages))
    return [*messages[:first]], [*messages[first:]]


def with_notes(messages: Sequence[AnyMessage], notes: str) -> list[AnyMessage]:
    """Return the messages with the notes, marked as data, before the first message, which is one of the user."""
    if not notes or not messages or not isinstance(messages[0], HumanMessage):
        return [*messages]
    text = prompts.with_notes(str(messages[0].text), marking.mark(notes))
    return [messages[0].model_copy(update={"content": text}), *messages[1:]]


def shorten_answers(messages: Sequence[AnyMessage], limit: int) -> list[AnyMessage]:
    """Return the messages without the oldest long answers of tools, if all of them have more tokens than the limit.

    The newest answer is kept.
    """
    answers = [m for m in messages if isinstance(m, ToolMessage) and len(m.text) > SHORT_ANSWER]
    excess = count_tokens_approximately(answers) - limit
    left_out: set[int] = set()
    for answer in answers[:-1]:
        if excess <= 0:
            break
        excess -= count_tokens_approximately([answer])
        left_out.add(id(answer))
    return [_without_text(m) if id(m) in left_out else m for m in messages]


def _without_text(message: AnyMessage) -> AnyMessage:
    status = message.status if isinstance(message, ToolMessage) else "success"
    return message.model_copy(update={"content": LEFT_OUT[status]})
