"""The turn so far: what the user said, and the answers of the tools that were called.

An intent is a function that calls tools one after the other. Each step of the graph runs the function again from its
start: the calls that the thread has answered return their answers, and the first other call ends the step. So intents
keep no state, and continue after a pause or a crash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from apps.agent.guided import vocabulary
from apps.agent.guided.matching import matching
from apps.agent.guided.reading import read_request
from apps.agent.guided.requests import Consent, NotUnderstood, Thanks
from apps.agent.models import Graph
from apps.agent.sources import marking
from apps.json import JsonObject
from apps.web.problems import BUSY

MAX_CHOICES = 8
MAX_QUESTION = 500  # characters
NOT_FOUND = (
    "What you mean does not exist any more, or you may not see it. Nothing was changed. To see what there is, say"
    ' "list pipelines" or "list connectors".'
)
AFTER_EDIT = (
    "\nTool response:\n"  # what LangChain puts before the answer to a call that the user has edited
)
ToolCall = tuple[str, JsonObject]


@dataclass(frozen=True, slots=True)
class Step:
    """What the agent says, and the tools it calls."""

    text: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()


class StepTaken(Exception):
    """The next step of the turn is known."""

    def __init__(self, step: Step) -> None:
        super().__init__(step)
        self.step = step


class OtherRequest(Exception):
    """The user has answered a question with another request."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The answer of a tool. `content` is empty if the text is not a JSON object."""

    text: str
    ok: bool
    content: Mapping[str, Any]

    def rows(self, key: str) -> list[dict[str, Any]]:
        """Return a list in the content, which may be JSON in a block of data."""
        rows = self.values.get(key)
        return rows if isinstance(rows, list) else []

    @property
    def values(self) -> dict[str, Any]:
        """Return the content with the values of its blocks of data, for an answer whose blocks are all JSON."""
        return {name: _value(field) for name, field in self.content.items()}

    @property
    def count(self) -> int:
        return int(self.content.get("count") or 0)

    @property
    def was_cut(self) -> bool:
        """Whether the answer was too long, so that it is not valid JSON."""
        return self.ok and not self.content

    @property
    def is_busy(self) -> bool:
        """Whether the call was refused because too many others were running."""
        return self.error_code == BUSY

    @property
    def error_code(self) -> str:
        error = self.content.get("error")
        return str(error.get("code") or "") if isinstance(error, Mapping) else ""

    @property
    def failure(self) -> str:
        """Return the reason why the call had no effect, in words for people."""
        if self.error_code == "not_found":
            return NOT_FOUND
        error = self.content.get("error")
        if isinstance(error, Mapping):
            fields = error.get("fields") or ()
            details = "; ".join(str(field.get("message")) for field in fields)
            return details or marking.unmark(str(error.get("message") or "The tool failed."))
        return self.text


@dataclass(frozen=True, slots=True)
class EarlierCall:
    """A call of an earlier turn that has succeeded, with its answer."""

    tool: str
    arguments: JsonObject
    answer: ToolAnswer


class Turn:
    """One turn of the thread, for an intent."""

    def __init__(self, messages: Sequence[BaseMessage]) -> None:
        self.messages = messages_of_turn(messages)
        self.earlier = messages[: len(messages) - len(self.messages)]
        self._answers = _answers(self.messages)
        self._used = 0  # calls that the intent has made in this step
        self.is_in_builder = self._attached("graph") == Graph.SOURCE_BUILDER

    @property
    def request(self) -> str:
        return str(self.messages[0].text) if self.messages else ""

    @property
    def page(self) -> str:
        """Return the path of the dashboard's page from which the user has sent the message, or ""."""
        return self._attached("page")

    @property
    def timezone(self) -> str | None:
        """Return the user's time zone, or None if it is not known."""
        return self._attached("timezone") or None

    @property
    def page_was_open(self) -> bool:
        """Whether the user saw this page also when sending the message before."""
        before = next((m for m in reversed(self.earlier) if isinstance(m, HumanMessage)), None)
        return before is not None and (before.additional_kwargs.get("page") or "") == self.page

    def _attached(self, name: str) -> str:
        value = self.messages[0].additional_kwargs.get(name) if self.messages else ""
        return str(value or "")

    def enter_source_builder(self) -> None:
        """Hand the turn over to the source builder, unless it has it already."""
        if not self.is_in_builder:
            self.read("start_source_builder", {})
        self.is_in_builder = True

    def leave_source_builder(self) -> None:
        """Hand the turn back to the main agent, unless it has it already."""
        if self.is_in_builder:
            self.read("leave_source_builder", {})
        self.is_in_builder = False

    @property
    def is_first_answer(self) -> bool:
        return not any(isinstance(m, AIMessage) for m in (*self.earlier, *self.messages))

    def earlier_calls(self) -> Iterator[EarlierCall]:
        """Yield the calls of earlier turns that have succeeded, the newest first."""
        by_call = {m.tool_call_id: m for m in self.earlier if isinstance(m, ToolMessage)}
        for message in reversed(self.earlier):
            for call in reversed(message.tool_calls) if isinstance(message, AIMessage) else ():
                answered = by_call.get(str(call["id"]))
                if answered is not None and answered.status != "error":
                    yield EarlierCall(call["name"], call["args"], _answer(answered))

    def call(self, tool: str, arguments: JsonObject, text: str = "") -> ToolAnswer:
        """Return the answer of a tool that may fail. `text` is said before the call."""
        return self.call_all([(tool, arguments)], text)[0]

    def call_all(self, calls: Sequence[ToolCall], text: str = "") -> list[ToolAnswer]:
        """Return the answers of several tools, which are called at once."""
        answers = self._answers[self._used : self._used + len(calls)]
        self._used += len(calls)
        if len(answers) < len(calls):
            raise StepTaken(Step(text, tuple(calls[len(answers) :])))
        return answers

    def read(self, tool: str, arguments: JsonObject) -> ToolAnswer:
        """Return the answer of a tool. If it fails, say why and end the turn."""
        answer = self.call(tool, arguments)
        if not answer.ok:
            raise self.end(answer.failure)
        return answer

    def propose(self, tool: str, arguments: JsonObject, text: str = "") -> ToolAnswer:
        """Return the answer after the user has approved the call. Otherwise say that nothing was changed."""
        answer = self.call(tool, arguments, text)
        if not answer.ok:
            raise self.end(_without_effect(answer))
        return answer

    def ask(self, question: str, choices: Sequence[str] = ()) -> str:
        """Return the user's answer to a question."""
        if len(choices) > MAX_CHOICES:
            question = f"{question} There are {len(choices)}; the first {MAX_CHOICES} are:"
        arguments = {"question": question[:MAX_QUESTION], "choices": list(choices[:MAX_CHOICES])}
        answer = self.call("ask", arguments).text.strip()
        if answer.lower().strip(".! ") in vocabulary.GIVE_UP:
            raise self.end("All right. Nothing was changed.")
        return answer

    def choose(self, question: str, choices: Sequence[str]) -> int:
        """Return the position of the choice that the user has named. Asks once more if the answer is none of them."""
        for _ in range(2):
            answer = self.ask(question, choices)
            found = matching(answer, range(len(choices)), lambda position: choices[position])
            if len(found) == 1:
                return found[0]
            if answer.isdecimal() and len(answer) < 4 and 1 <= int(answer) <= len(choices):
                return int(answer) - 1
            if not found and not isinstance(read_request(answer), Consent | NotUnderstood | Thanks):
                raise OtherRequest(answer)
        raise self.end("I still do not know which one you mean. Nothing was changed.")

    def end(self, text: str) -> StepTaken:
        """Return what to raise to end the turn with this text."""
        return StepTaken(Step(text))


def messages_of_turn(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    """Return the messages from the newest message of the user on."""
    start = max((i for i, m in enumerate(messages) if isinstance(m, HumanMessage)), default=0)
    return messages[start:]


def _value(field: Any) -> Any:
    """Return the value of a block of data, and other values unchanged."""
    is_block = isinstance(field, str) and field.startswith("<data>")
    return marking.read_json(field) if is_block else field


def _without_effect(answer: ToolAnswer) -> str:
    if answer.content:
        return f"That is not possible: {answer.failure}"
    _, _, reason = answer.text.partition("with reason: ")
    if reason and not reason.startswith("The user "):
        return f"You rejected it ({reason}). Nothing was changed."
    return "It was not approved. Nothing was changed."


def _answers(messages: Sequence[BaseMessage]) -> list[ToolAnswer]:
    """Return the answers in the order of the calls, up to the first call without an answer."""
    by_call = {m.tool_call_id: m for m in messages if isinstance(m, ToolMessage)}
    answers: list[ToolAnswer] = []
    for message in messages:
        for call in message.tool_calls if isinstance(message, AIMessage) else ():
            answered = by_call.get(str(call["id"]))
            if answered is None:
                return answers
            answers.append(_answer(answered))
    return answers


def _answer(message: ToolMessage) -> ToolAnswer:
    text = str(message.text)  # a plain string, because orjson refuses subclasses
    text = text.rpartition(AFTER_EDIT)[2]
    content: Any = None
    if message.name != "ask":
        try:
            content = orjson.loads(text)
        except orjson.JSONDecodeError:
            content = None
    ok = message.status != "error"
    return ToolAnswer(text, ok, content if isinstance(content, dict) else {})
