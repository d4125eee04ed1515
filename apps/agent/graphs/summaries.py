"""Write the notes that replace old messages of a conversation.

The messages contain texts that nobody has checked, such as documents. So the model reads all of them as data, has no
tools, and its notes are marked as data whenever a model reads them (`history.with_notes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from apps.agent.chat_models import failures
from apps.agent.chat_models.failures import ModelFailed
from apps.agent.sources import marking
from apps.agent.turns.tokens import storable_text
from apps.live.events import dumps

MAX_NOTES = 4_000  # characters
MAX_ANSWER = 1_500  # characters of a tool's answer that the notes are made from
MAX_MESSAGE = 4_000  # characters of another message
MAX_QUOTE = 200  # characters of a message, in notes that are made without a model
CHARACTERS_PER_TOKEN = 4
CUT = "(The oldest part was left out.)"
# With these failures the model would refuse the same messages again. The conversation goes on with simpler notes.
UNUSABLE = frozenset(
    failure.code
    for failure in (failures.REFUSED, failures.REJECTED, failures.TOO_LONG, failures.BAD_ANSWER)
)


async def write(
    model: BaseChatModel, prompt: str, notes: str, messages: Sequence[AnyMessage], limit: int
) -> str:
    """Return new notes about what the old notes say and about the messages. The model reads at most `limit` tokens.

    Raises ModelFailed if the model cannot be reached.
    """
    text = "\n\n".join([*([f"Earlier notes: {notes}"] if notes else []), *_lines(messages)])
    data = marking.mark(_newest(text, limit * CHARACTERS_PER_TOKEN))
    try:
        stream = model.astream([SystemMessage(prompt), HumanMessage(data)])
        answer = "".join([str(part.text) async for part in stream])
    except ModelFailed as error:
        if error.failure.code not in UNUSABLE:
            raise
        return quote(notes, messages)
    new_notes = _clean(answer)[:MAX_NOTES]
    return new_notes or quote(notes, messages)


def quote(notes: str, messages: Iterable[AnyMessage]) -> str:
    """Return notes that are made without a model: the beginning of what the user wrote."""
    quotes = [
        f"The user wrote: {' '.join(m.text.split())[:MAX_QUOTE]}"
        for m in messages
        if isinstance(m, HumanMessage)
    ]
    return _newest(_clean("\n".join([*([notes] if notes else []), *quotes])), MAX_NOTES)


def _lines(messages: Iterable[AnyMessage]) -> Iterable[str]:
    for message in messages:
        if isinstance(message, HumanMessage):
            yield f"The user wrote: {message.text[:MAX_MESSAGE]}"
        elif isinstance(message, ToolMessage):
            yield f"The tool {message.name} answered ({message.status}): {message.text[:MAX_ANSWER]}"
        elif isinstance(message, AIMessage):
            if message.text.strip():
                yield f"The agent wrote: {message.text[:MAX_MESSAGE]}"
            for call in message.tool_calls:
                yield f"The agent called {call['name']}: {dumps(call['args'])[:MAX_ANSWER]}"


def _clean(notes: str) -> str:
    return marking.neutralise(storable_text(notes)).strip()


def _newest(text: str, length: int) -> str:
    """Return the end of the text if it is too long."""
    return text if len(text) <= length else f"{CUT}\n{text[-length:]}"
