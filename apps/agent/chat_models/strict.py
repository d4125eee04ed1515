"""A chat model that passes on only what is complete.

Text passes at once. Tool calls are held back until the answer is complete and was checked. If they cannot be used, the
model is told why and asked again, at most twice. All of this is one message to the graph. Requests that fail for a
moment are sent again. Every exception becomes `ModelFailed`, whose text has no secrets, because the graph stores it.
The tokens of all requests are counted (`meters`), whether their answers were used or not.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableBinding
from pydantic import PrivateAttr

from apps.agent.chat_models import answer_checks, failures, meters, provider_errors
from apps.agent.chat_models.answer_checks import CheckedAnswer
from apps.agent.chat_models.failures import ModelFailed, ModelFailure

MAX_REPAIRS = 2  # how often a model is asked again after an answer that cannot be used
MAX_RETRIES = 2  # how often a request is sent again after a failure of the provider
MAX_RETRY_WAIT = 30.0  # seconds; if the provider asks for a longer wait, the turn fails
MAX_ANSWER_SECONDS = (
    600.0  # a slower answer fails, because it would keep a place among the worker's turns
)
MAX_ANSWER_LENGTH = 100_000  # characters; the rest of a longer answer is not read
MAX_CALLS_LENGTH = 400_000  # characters of the arguments of all tool calls of an answer
MAX_PARTS = 500  # tool calls and content blocks of an answer
CHARACTERS_PER_TOKEN = 4  # of an estimate
BLOCKS_PER_ATTEMPT = 1000  # so that the numbers of content blocks of two attempts differ
CUT_NOTE = "\n\n(The answer ends here, because it reached the limit of the language model.)"


@dataclass(slots=True)
class _Attempt:
    """One answer to one request.

    The chunks are merged when the answer has ended. Each merge parses all arguments of the calls again, so merging each
    chunk as it arrives would block the event loop for minutes.
    """

    number: int
    chunks: list[ChatGenerationChunk] = field(default_factory=list)
    held_chunks: list[ChatGenerationChunk] = field(default_factory=list)  # not passed on yet
    length: int = 0
    length_of_calls: int = 0
    parts: set[object] = field(default_factory=set)  # numbers of tool calls and content blocks
    has_passed_text: bool = False
    is_complete: bool = False  # whether the provider has ended the stream

    @property
    def whole(self) -> ChatGenerationChunk | None:
        return _merged(self.chunks)

    @property
    def held(self) -> ChatGenerationChunk | None:
        return _merged(self.held_chunks)

    @property
    def has_too_large_calls(self) -> bool:
        return self.length_of_calls > MAX_CALLS_LENGTH or len(self.parts) > MAX_PARTS

    def begin(self) -> None:
        """Forget an answer that broke off before its text was passed on."""
        self.chunks, self.held_chunks, self.parts = [], [], set()
        self.length, self.length_of_calls, self.is_complete = 0, 0, False

    def add(self, chunk: ChatGenerationChunk) -> bool:
        """Collect the chunk. Returns whether it can be passed on at once, because it contains only text."""
        message = chunk.message
        calls = getattr(message, "tool_call_chunks", ())
        self.length += len(message.text)
        self.length_of_calls += sum(len(call["args"] or "") for call in calls)
        self.parts.update(_part_numbers(chunk, len(self.chunks)))
        self.chunks.append(chunk)
        if message.text and not calls:
            self.has_passed_text = True
            return True
        self.held_chunks.append(chunk)
        return False


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer as the provider has sent it. `whole` is None if the answer had no parts that the client understands."""

    whole: ChatGenerationChunk | None
    texts: int  # number of parts with text


class StrictModel(BaseChatModel):
    """Wraps the chat model of a provider. `client` is its HTTP client."""

    inner: BaseChatModel
    chunk_timeout: float
    max_retries: int = MAX_RETRIES
    first_retry_wait: float = 1.0  # seconds; doubled for the second retry
    is_of_operator: bool = False  # if true, no admin can change its settings
    _client: Any = PrivateAttr()
    _secrets: tuple[str, ...] = PrivateAttr()

    def __init__(self, *, client: Any, secrets: tuple[str, ...], **fields: Any) -> None:
        super().__init__(**fields)
        self._client, self._secrets = client, secrets

    @property
    def client(self) -> Any:
        """The HTTP client, which follows the egress policy."""
        return self._client

    @property
    def _llm_type(self) -> str:
        return "strict"

    def _failure_of(self, error: Exception, *, is_begun: bool = False) -> ModelFailure:
        failure = provider_errors.failure_of(error, secrets=self._secrets, is_begun=is_begun)
        return failures.for_model_of_operator(failure) if self.is_of_operator else failure

    async def aclose(self) -> None:
        """Close the connections to the provider."""
        await self._client.aclose()

    async def ask_once(self, messages: Sequence[BaseMessage], **kwargs: Any) -> RawAnswer:
        """Return one answer without checks and repairs, for the check of a model. Raises ModelFailed."""
        attempt = _Attempt(0)
        try:
            async with aclosing(self._attempt(attempt, [*messages], None, kwargs)) as chunks:
                texts = [chunk async for chunk in chunks]
        except Exception as error:
            raise ModelFailed(self._failure_of(error)) from None
        return RawAnswer(attempt.whole, len(texts))

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        if not tools:
            return self  # some servers reject an empty list
        bound = self.inner.bind_tools(tools, **kwargs)
        if not isinstance(bound, RunnableBinding):
            raise TypeError(f"{type(self.inner).__name__} does not bind tools as expected")
        return self.bind(**bound.kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise NotImplementedError("language models are called asynchronously only")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_core.language_models.chat_models import agenerate_from_stream

        return await agenerate_from_stream(self._astream(messages, stop, **kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """The caller reports the tokens, so `run_manager` is not passed on."""
        message_id = f"answer_{uuid.uuid4().hex}"
        try:
            async with aclosing(self._checked_answer(messages, stop, kwargs)) as chunks:
                async for chunk in chunks:
                    chunk.message.id = message_id
                    yield chunk
        except Exception as error:
            raise ModelFailed(self._failure_of(error)) from None

    async def _checked_answer(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        asked = list(messages)
        used_ids = answer_checks.ids_in(messages)
        for number in range(MAX_REPAIRS + 1):
            attempt = _Attempt(number)
            async with aclosing(self._attempt(attempt, asked, stop, kwargs)) as texts:
                async for chunk in texts:
                    yield chunk
            checked = _check(attempt, used_ids)
            usage = _usage(attempt, asked, kwargs.get("tools"))
            if not checked.problem:
                yield _last_chunk(attempt, checked, usage)
                return
            yield ChatGenerationChunk(message=_only_usage(usage, "\n\n" if _text(attempt) else ""))
            asked = [*messages, *_request_of_repair(_text(attempt), checked.problem)]
        raise ModelFailed(failures.BAD_ANSWER)

    async def _attempt(
        self,
        attempt: _Attempt,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: dict[str, Any],
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield the text of one answer. The request is sent again if it fails before the first text."""
        for retries in range(self.max_retries + 1):
            attempt.begin()
            try:
                async with aclosing(self._chunks(messages, stop, kwargs)) as chunks:
                    async for chunk in chunks:
                        _renumber_blocks(chunk, attempt.number)
                        if attempt.add(chunk):
                            yield _without_usage(chunk)
                        if attempt.length > MAX_ANSWER_LENGTH or attempt.has_too_large_calls:
                            return
                attempt.is_complete = True
                return
            except Exception as error:
                if attempt.has_passed_text or not await self._waited(error, retries):
                    failure = self._failure_of(error, is_begun=bool(attempt.chunks))
                    raise ModelFailed(failure) from None
            finally:
                _count(attempt, messages, kwargs.get("tools"))

    async def _chunks(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        """Yield the chunks of the provider. Raises TimeoutError if one, or the whole answer, does not arrive in time."""
        end = asyncio.get_running_loop().time() + MAX_ANSWER_SECONDS
        provider_stream: Any = self.inner._astream(messages, stop, **kwargs)
        async with aclosing(provider_stream) as stream:
            while True:
                left = end - asyncio.get_running_loop().time()
                try:
                    chunk = await asyncio.wait_for(anext(stream), min(self.chunk_timeout, left))
                except StopAsyncIteration:
                    return
                yield chunk

    async def _waited(self, error: Exception, retries: int) -> bool:
        """Wait before the request is sent again. Returns False if it should not be sent again."""
        failure = self._failure_of(error)
        if retries >= self.max_retries or not provider_errors.is_temporary(failure):
            return False
        asked_wait = provider_errors.retry_after(error)
        wait = self.first_retry_wait * 2**retries if asked_wait is None else asked_wait
        if wait > MAX_RETRY_WAIT:
            return False
        await asyncio.sleep(wait)
        return True


def _merged(chunks: list[ChatGenerationChunk]) -> ChatGenerationChunk | None:
    return chunks[0] + chunks[1:] if chunks else None


def _part_numbers(chunk: ChatGenerationChunk, number: int) -> Iterator[object]:
    """Yield which tool calls and content blocks the chunk belongs to. A call without an index is one of its own."""
    for place, call in enumerate(getattr(chunk.message, "tool_call_chunks", ())):
        index = call.get("index")
        yield ("call", number, place) if index is None else ("call", str(index))
    for block in chunk.message.content:
        if isinstance(block, dict) and block.get("index") is not None:
            yield "block", str(block["index"])


def _check(attempt: _Attempt, used_ids: set[str]) -> CheckedAnswer:
    if attempt.has_too_large_calls:
        return CheckedAnswer(problem="your tool calls were too many or too long")
    whole = attempt.whole
    if whole is None:
        raise ModelFailed(failures.INTERRUPTED)
    if attempt.length > MAX_ANSWER_LENGTH:
        return CheckedAnswer(is_cut=True)
    return answer_checks.check(whole, used_ids)


def _last_chunk(
    attempt: _Attempt, checked: CheckedAnswer, usage: UsageMetadata
) -> ChatGenerationChunk:
    """Return the chunk that ends the message: the calls, the provider's own blocks, and the usage."""
    merged = attempt.held
    held = merged.message if merged else AIMessageChunk(content="")
    if not isinstance(held, AIMessageChunk):
        raise ModelFailed(failures.BAD_ANSWER)
    if checked.is_cut:
        message = AIMessageChunk(content=CUT_NOTE, response_metadata=held.response_metadata)
    else:
        message = answer_checks.apply_ids(held, checked.calls)
    message.usage_metadata = usage
    message.chunk_position = "last"
    info = merged.generation_info if merged else None
    return ChatGenerationChunk(message=message, generation_info=info)


def _count(attempt: _Attempt, messages: list[BaseMessage], tools: Any) -> None:
    """Add the tokens of a request to the meter, unless the provider has answered nothing."""
    if attempt.chunks:
        usage = _usage(attempt, messages, tools)
        meters.add(usage["input_tokens"], usage["output_tokens"])


def _usage(attempt: _Attempt, messages: list[BaseMessage], tools: Any) -> UsageMetadata:
    """Return the usage that the provider reports.

    It is estimated if the server does not report it, or if the answer broke off before the report.
    """
    whole = None if attempt.has_too_large_calls else attempt.whole
    message = whole.message if whole else AIMessageChunk(content="")
    reported = getattr(message, "usage_metadata", None)
    sent = reported["input_tokens"] if reported else 0
    received = reported["output_tokens"] if reported else 0
    if not attempt.is_complete or sent + received == 0:
        sent = sent or count_tokens_approximately(messages) + _tokens_of_tools(tools)
        received = max(received, count_tokens_approximately([message]))
    return UsageMetadata(input_tokens=sent, output_tokens=received, total_tokens=sent + received)


def _tokens_of_tools(tools: Any) -> int:
    """Return about how many tokens the descriptions of the tools have. Each provider has its own classes for them."""
    return len(json.dumps(tools, default=str)) // CHARACTERS_PER_TOKEN if tools else 0


def _text(attempt: _Attempt) -> str:
    return "".join(chunk.message.text for chunk in attempt.chunks)


def _only_usage(usage: UsageMetadata, text: str) -> AIMessageChunk:
    return AIMessageChunk(content=text, usage_metadata=usage)


def _without_usage(chunk: ChatGenerationChunk) -> ChatGenerationChunk:
    """Return the chunk without its usage, which the last chunk of the answer has."""
    message = chunk.message.model_copy(update={"usage_metadata": None, "chunk_position": None})
    return ChatGenerationChunk(message=message)


def _request_of_repair(text: str, problem: str) -> list[BaseMessage]:
    request = (
        f"Your last answer could not be used: {problem}. None of its tool calls was carried out. "
        "Answer again, with complete tool calls if you need any."
    )
    return [*([AIMessage(text)] if text.strip() else []), HumanMessage(request)]


def _renumber_blocks(chunk: ChatGenerationChunk, attempt: int) -> None:
    """Change the numbers of content blocks, so that blocks of two attempts are not merged into one."""
    if attempt == 0 or isinstance(chunk.message.content, str):
        return
    for block in chunk.message.content:
        if isinstance(block, dict) and isinstance(block.get("index"), int):
            block["index"] += attempt * BLOCKS_PER_ATTEMPT
