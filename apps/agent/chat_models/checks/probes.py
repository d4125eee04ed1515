"""The requests with which a check finds out what a language model can do. They run in a child process."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableBinding, RunnableSequence

from apps.agent.chat_models import answer_checks, failures, provider_errors
from apps.agent.chat_models.checks import findings
from apps.agent.chat_models.checks.findings import Finding
from apps.agent.chat_models.connections import ModelConnection
from apps.agent.chat_models.failures import ModelFailed, ModelFailure
from apps.agent.chat_models.strict import RawAnswer, StrictModel
from apps.egress.async_http import RedirectRefused
from apps.egress.exceptions import EgressError

CONTEXT_CHARACTERS = 38_000  # of English text: more than 8,000 tokens with the tokenizers of today
# How servers fail at what they do not support. Some report an error of their own, some end the answer.
CODES_OF_REJECTIONS = frozenset(
    {failures.REJECTED.code, failures.UNAVAILABLE.code, failures.INTERRUPTED.code}
)
REASON_LENGTH = 200  # characters
COUNT = "Count from one to twenty in words, with a comma between two numbers."
CALL_TOOL = (
    "Call the tool report_weather with the city {city} and {days} days. Do not answer in words."
)
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "report_weather",
        "description": "Report the weather of a city for some days.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}
CITY_FIELDS = ["city", "country"]
CITY_SCHEMA = {
    "title": "city",
    "description": "A city and its country.",
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": CITY_FIELDS,
    "additionalProperties": False,
}
SENTENCES = (
    "The harbour office wrote down which ships had come in during the night.",
    "A baker opened the shop early because the market began before sunrise.",
    "Rain had fallen for three days, and the river stood high under the bridge.",
    "The teacher asked the class to draw a map of the village from memory.",
    "Two old friends met at the station and talked about the long winter.",
)


@dataclass
class Subject:
    """The model that is checked, and the answers that several checks look at."""

    connection: ModelConnection
    model: StrictModel
    counted: RawAnswer | None = None  # the answer to COUNT
    called: RawAnswer | None = None  # the answer with the first tool call


async def reachable(subject: Subject) -> Finding:
    """Send a request without the key. Every answer is good, even an error or a redirect."""
    url = subject.connection.url
    try:
        async with subject.model.client.stream("GET", url):
            return findings.REACHABLE
    except RedirectRefused:
        return findings.REACHABLE
    except EgressError as error:
        failure = failures.UNAVAILABLE if error.retryable else failures.HOST_REFUSED
        if subject.connection.is_of_operator:
            failure = failures.for_model_of_operator(failure)
        reason = provider_errors.mask(error.message, subject.connection.secrets)
        return findings.of_failure(failures.with_detail(failure, reason))
    except (httpx2.TransportError, OSError) as error:
        if subject.connection.is_of_operator:
            return findings.SERVER_OF_OPERATOR_UNREACHABLE
        return findings.unreachable(urlsplit(url).netloc, str(error)[:REASON_LENGTH])


async def key(subject: Subject) -> Finding:
    """Ask for an answer of several words. `streaming` looks at how it has arrived."""
    try:
        subject.counted = await subject.model.ask_once([HumanMessage(COUNT)])
    except ModelFailed as error:
        return findings.of_failure(error.failure)
    return findings.KEY_WORKS


async def streaming(subject: Subject) -> Finding:
    answer = subject.counted
    if answer is None or answer.whole is None:
        return findings.NO_STREAM
    try:
        answer_checks.check(answer.whole, set())
    except ModelFailed as error:
        is_without_end = error.failure == failures.INTERRUPTED
        return findings.NO_END if is_without_end else findings.of_failure(error.failure)
    if answer.texts == 0:
        return findings.EMPTY
    return findings.STREAMS if answer.texts > 1 else findings.ONE_PART


async def tool_calls(subject: Subject) -> Finding:
    answer = await subject.model.ask_once([_call_request("Lisbon", 3)], **_tools(subject.model))
    message = _message(answer)
    if not message.tool_call_chunks:
        looks_like_call = any(part in message.text for part in ("report_weather", "<tool_call"))
        return findings.CALL_AS_TEXT if looks_like_call else findings.NO_CALL
    checked = answer_checks.check(_whole(answer), set())
    if checked.problem:
        return findings.broken_call(checked.problem)
    subject.called = answer
    call = checked.calls[0]
    is_right = json.loads(call["args"] or "{}") == {"city": "Lisbon", "days": 3}
    return findings.CALLS_TOOLS if is_right else findings.WRONG_CALL


async def call_ids(subject: Subject) -> Finding:
    """Let the model call the tool again after it got the result, and compare the ids that it has sent."""
    if subject.called is None:
        return findings.NOT_DONE
    first = _message(subject.called)
    calls = answer_checks.check(_whole(subject.called), set()).calls
    results = [
        ToolMessage("It will be sunny.", tool_call_id=str(call["id"]), name=call["name"])
        for call in calls
    ]
    history = [_call_request("Lisbon", 3), answer_checks.apply_ids(first, calls), *results]
    asked = [*history, _call_request("Oslo", 5)]
    second = _message(await subject.model.ask_once(asked, **_tools(subject.model)))
    ids = [call["id"] for message in (first, second) for call in message.tool_call_chunks]
    if not second.tool_call_chunks:
        return findings.NO_SECOND_CALL
    if not all(ids):
        return findings.IDS_MISSING
    return findings.IDS_DIFFER if len(set(ids)) == len(ids) else findings.IDS_REPEAT


async def context(subject: Subject) -> Finding:
    """Send more than 8,000 tokens with a code word at both ends. Some servers cut long requests silently."""
    first, last = _code_word("amber"), _code_word("cobalt")
    half = _filler(CONTEXT_CHARACTERS // 2)
    messages = [
        HumanMessage(f"The first code word is {first}. Remember it.\n{half}"),
        AIMessage("I will remember the first code word."),
        HumanMessage(
            f"{half}\nThe last code word is {last}.\n"
            "Reply with the first and the last code word of this conversation, and nothing else."
        ),
    ]
    try:
        text = _message(await subject.model.ask_once(messages)).text
    except ModelFailed as error:
        return _finding_of_long_request(error.failure)
    if first in text and last in text:
        return findings.CONTEXT_WORKS
    return findings.CONTEXT_CUT if last in text else findings.CONTEXT_UNREAD


async def two_at_once(subject: Subject) -> Finding:
    requests = [_count(subject.model) for _ in range(2)]
    results = await asyncio.gather(*requests, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if not errors:
        return findings.TWO_AT_ONCE
    error = next((e for e in errors if not isinstance(e, ModelFailed)), errors[0])
    if not isinstance(error, ModelFailed):
        raise error
    is_refused = (
        provider_errors.is_temporary(error.failure) or error.failure == failures.INTERRUPTED
    )
    if is_refused and len(errors) == 1:
        return findings.ONLY_ONE_AT_ONCE
    return findings.of_failure(error.failure)


async def structured_output(subject: Subject) -> Finding:
    """Ask for JSON with a schema. The agent does not need this, so nothing here is a failure."""
    question = [HumanMessage("Which city is the capital of Portugal?")]
    try:
        answer = await subject.model.ask_once(question, **_structured(subject.model))
    except ModelFailed as error:
        if error.failure.code in CODES_OF_REJECTIONS:
            return findings.NOT_STRUCTURED
        return findings.of_failure(error.failure, state="warning")
    return findings.STRUCTURED if _has_form(_message(answer).text) else findings.NOT_STRUCTURED


async def _count(model: StrictModel) -> None:
    """Raise ModelFailed unless the model gives a complete answer. Some servers end an answer when the next request comes."""
    answer = await model.ask_once([HumanMessage(COUNT)])
    answer_checks.check(_whole(answer), set())


def _finding_of_long_request(failure: ModelFailure) -> Finding:
    if failure.code == failures.TOO_LONG.code:
        return findings.CONTEXT_SMALL
    if failure.code in CODES_OF_REJECTIONS:
        return findings.CONTEXT_FAILS
    return findings.of_failure(failure)


def _call_request(city: str, days: int) -> HumanMessage:
    return HumanMessage(CALL_TOOL.format(city=city, days=days))


def _tools(model: StrictModel) -> dict[str, Any]:
    """Return the parameters of a request with the tool, in the form that the provider's client needs."""
    return _parameters(model.bind_tools([WEATHER_TOOL]))


def _structured(model: StrictModel) -> dict[str, Any]:
    chain = model.inner.with_structured_output(CITY_SCHEMA, method="json_schema")
    parameters = _parameters(chain.first if isinstance(chain, RunnableSequence) else chain)
    parameters.pop("ls_structured_output_format", None)  # for LangChain's tracing
    return parameters


def _parameters(bound: Any) -> dict[str, Any]:
    if not isinstance(bound, RunnableBinding):
        raise TypeError(f"the client binds its parameters as {type(bound).__name__}")
    return dict(bound.kwargs)


def _whole(answer: RawAnswer) -> ChatGenerationChunk:
    if answer.whole is None:
        raise ModelFailed(failures.INTERRUPTED)
    return answer.whole


def _message(answer: RawAnswer) -> AIMessageChunk:
    message = _whole(answer).message
    if not isinstance(message, AIMessageChunk):
        raise ModelFailed(failures.BAD_ANSWER)
    return message


def _has_form(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, dict) and all(isinstance(value.get(n), str) for n in CITY_FIELDS)


def _code_word(word: str) -> str:
    """Return a word that no model can guess."""
    return f"{word}-{secrets.randbelow(9000) + 1000}"


def _filler(length: int) -> str:
    """Return about so many characters of English, in lines with numbers."""
    lines = [f"{number}. {SENTENCES[number % len(SENTENCES)]}" for number in range(length // 60)]
    return "\n".join(lines)[:length]
