"""The real clients of three providers, against local servers that speak their formats."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from typing import Any

import certifi
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool

from apps.agent.chat_models import providers, strict
from apps.agent.chat_models.connections import ModelConnection, Provider
from apps.agent.chat_models.failures import ModelFailed
from tests.agent.wire.formats import USAGE
from tests.agent.wire.replies import End, Reply, WireCall
from tests.agent.wire.server import KEY, wire_server

FORMATS = [Provider.OPENAI_COMPATIBLE, Provider.ANTHROPIC, Provider.GOOGLE]
all_formats = pytest.mark.parametrize("provider", FORMATS)
# Google sends the arguments as an object and makes its own ids, so these faults cannot happen there.
raw_formats = pytest.mark.parametrize("provider", FORMATS[:2])
LIST = WireCall("list_pipelines", '{"name": "flights"}')


@tool
def list_pipelines(name: str = "") -> str:
    """List the pipelines."""
    return "[]"


def ask(connection: ModelConnection, *messages: Any) -> tuple[AIMessage, list[str]]:
    """Return the whole answer, and the texts of its chunks."""

    async def run() -> tuple[AIMessage, list[str]]:
        model = providers.build(connection)
        model.first_retry_wait = 0.01
        try:
            whole: AIMessageChunk | None = None
            texts: list[str] = []
            bound = model.bind_tools([list_pipelines])
            async for chunk in bound.astream(list(messages) or [HumanMessage("Hello")]):
                assert isinstance(chunk, AIMessageChunk)
                texts.append(str(chunk.text))
                whole = chunk if whole is None else whole + chunk
            assert whole is not None
            return AIMessage(
                **whole.model_dump(exclude={"type", "tool_call_chunks", "chunk_position"})
            ), texts
        finally:
            await model.aclose()

    return asyncio.run(run())


def fail(connection: ModelConnection) -> Any:
    """Return the failure that the call ends with."""
    with pytest.raises(ModelFailed) as caught:
        ask(connection)
    assert caught.value.__cause__ is None
    assert KEY not in repr(caught.value)
    return caught.value.failure


@pytest.mark.parametrize("provider", list(Provider))
def test_certificates_are_not_loaded_again_for_each_turn(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ModelConnection(
        provider=provider, model="m", key=KEY, base_url="https://model.example/v1"
    )
    asyncio.run(providers.build(connection).aclose())
    loaded, load = [], ssl.SSLContext.load_verify_locations

    def count(*arguments: Any, **options: Any) -> None:
        loaded.append(options)
        load(*arguments, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", count)
    ssl.create_default_context(cafile=certifi.where())
    assert len(loaded) == 1, "the test does not see when certificates are loaded"
    asyncio.run(providers.build(connection).aclose())
    assert len(loaded) == 1


@all_formats
def test_a_text_arrives_in_pieces_with_its_usage(provider: Provider) -> None:
    with wire_server([Reply("There are three pipelines.")]) as server:
        answer, texts = ask(server.connection(provider))
    assert answer.text == "There are three pipelines."
    assert len([text for text in texts if text]) == 4
    assert answer.usage_metadata is not None
    assert (answer.usage_metadata["input_tokens"], answer.usage_metadata["output_tokens"]) == USAGE
    assert len(server.requests) == 1


@all_formats
def test_calls_that_are_split_over_chunks_arrive_whole(provider: Provider) -> None:
    calls = (LIST, WireCall("list_pipelines", "{}", id="call_2"))
    with wire_server([Reply("I look. ", calls)]) as server:
        answer, _ = ask(server.connection(provider))
    assert [call["args"] for call in answer.tool_calls] == [{"name": "flights"}, {}]
    assert len({call["id"] for call in answer.tool_calls}) == 2
    assert answer.text == "I look. "


@all_formats
def test_an_answer_goes_back_to_its_provider_with_the_results_of_its_calls(
    provider: Provider,
) -> None:
    with wire_server([Reply("", (LIST, LIST)), Reply("Done.")]) as server:
        connection = server.connection(provider)
        first, _ = ask(connection)
        results = [
            ToolMessage("[]", tool_call_id=c["id"], name=c["name"]) for c in first.tool_calls
        ]
        answer, _ = ask(connection, HumanMessage("Hello"), first, *results)
    assert answer.text == "Done."
    sent = json.dumps(server.requests[1].body)
    if provider != Provider.GOOGLE:
        for call in first.tool_calls:
            assert sent.count(f'"{call["id"]}"') == 2, "each call has one result with its id"
    else:
        assert sent.count("functionResponse") == 2
        assert "c2lnbmF0dXJl" in sent, "Gemini needs its thought signatures back"


@raw_formats
@pytest.mark.parametrize("call", [
    WireCall("list_pipelines", '{"name": "fli'),
    WireCall("list_pipelines", '["flights"]'),
    WireCall("list_pipelines", "{'name': 'flights'}"),
])  # fmt: skip
def test_a_malformed_call_is_asked_for_again_and_never_passed_on(
    provider: Provider, call: WireCall
) -> None:
    with wire_server([Reply("I look.", (call,)), Reply("", (LIST,))]) as server:
        answer, _ = ask(server.connection(provider))
    assert [c["args"] for c in answer.tool_calls] == [{"name": "flights"}]
    assert "could not be used" in json.dumps(server.requests[1].body)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 2 * USAGE[0]


@raw_formats
def test_a_model_that_repeats_a_malformed_call_fails_after_two_repairs(provider: Provider) -> None:
    bad = WireCall("list_pipelines", '{"name": "fli')
    with wire_server([Reply("", (bad,))]) as server:
        failure = fail(server.connection(provider))
    assert failure.code == "model_bad_answer"
    assert len(server.requests) == 1 + strict.MAX_REPAIRS


@all_formats
@pytest.mark.parametrize("end", [End.LENGTH, End.WITHOUT_REASON])
def test_a_complete_call_of_an_unfinished_answer_is_not_passed_on(
    provider: Provider, end: End
) -> None:
    with wire_server([Reply("", (LIST,), end), Reply("I stop.")]) as server:
        answer, _ = ask(server.connection(provider))
    assert not answer.tool_calls
    assert answer.text.strip() == "I stop."


@raw_formats
def test_missing_and_repeated_ids_get_new_ones_and_others_stay(provider: Provider) -> None:
    calls = tuple(WireCall("list_pipelines", id=i) for i in ("a", "a", "old", "b"))
    if provider == Provider.OPENAI_COMPATIBLE:
        calls += (WireCall("list_pipelines", id=None),)
    earlier = AIMessage("", tool_calls=[{"name": "list_pipelines", "args": {}, "id": "old"}])
    history = [
        HumanMessage("Hello"),
        earlier,
        ToolMessage("[]", tool_call_id="old"),
        HumanMessage("Again"),
    ]
    with wire_server([Reply("", calls), Reply("Done.")]) as server:
        connection = server.connection(provider)
        answer, _ = ask(connection, *history)
        ids = [call["id"] for call in answer.tool_calls]
        results = [ToolMessage("[]", tool_call_id=i) for i in ids]
        ask(connection, *history, answer, *results)
    assert len(set(ids)) == len(calls)
    assert (ids[0], ids[3]) == ("a", "b")
    assert "old" not in ids
    assert None not in ids
    sent = json.dumps(server.requests[1].body)
    assert all(sent.count(f'"{i}"') == 2 for i in ids), "a call and its result"


@all_formats
@pytest.mark.parametrize("end", [End.BROKEN, End.FAILED])
def test_a_stream_that_breaks_after_text_says_so_and_is_not_sent_again(
    provider: Provider, end: End
) -> None:
    with wire_server([Reply("There are", end=end)]) as server:
        failure = fail(server.connection(provider))
    assert failure.code == "model_interrupted"
    assert "broke off in the middle of its answer" in failure.message
    assert ("The server had an error." in failure.message) == (end == End.FAILED)
    assert len(server.requests) == 1, "text was passed on, so the request is not sent again"


@all_formats
@pytest.mark.parametrize("end", [End.BROKEN, End.FAILED])
def test_a_stream_that_breaks_in_a_call_is_sent_again_before_it_says_so(
    provider: Provider, end: End
) -> None:
    with wire_server([Reply("", (LIST,), end)]) as server:
        failure = fail(server.connection(provider))
    assert (failure.code, len(server.requests)) == ("model_interrupted", 3)
    with wire_server([Reply("", (LIST,), end), Reply("Here.")]) as server:
        answer, _ = ask(server.connection(provider))
    assert (answer.text, answer.tool_calls) == ("Here.", [])


@all_formats
def test_a_text_without_a_finish_reason_is_not_taken_for_an_answer(provider: Provider) -> None:
    with wire_server([Reply("There are", end=End.WITHOUT_REASON)]) as server:
        assert fail(server.connection(provider)).code == "model_interrupted"


@all_formats
def test_a_text_that_reached_the_limit_says_so(provider: Provider) -> None:
    with wire_server([Reply("There are", end=End.LENGTH)]) as server:
        answer, _ = ask(server.connection(provider))
    assert answer.text == "There are" + strict.CUT_NOTE


@pytest.mark.parametrize(
    "provider",
    [
        Provider.ANTHROPIC,
        pytest.param(Provider.OPENAI_COMPATIBLE, marks=pytest.mark.long),
        pytest.param(Provider.GOOGLE, marks=pytest.mark.long),
    ],
)
def test_an_answer_of_60_000_tokens_is_cut(provider: Provider) -> None:
    with wire_server([Reply("four words a line\n" * 15_000)]) as server:
        answer, _ = ask(server.connection(provider))
    assert len(answer.text) <= strict.MAX_ANSWER_LENGTH + 1000
    assert answer.text.endswith(strict.CUT_NOTE)


@all_formats
def test_a_refusal_is_a_failure_and_is_not_repeated(provider: Provider) -> None:
    with wire_server([Reply("", end=End.REFUSED)]) as server:
        assert fail(server.connection(provider)).code == "model_refused"
    assert len(server.requests) == 1


@all_formats
def test_an_empty_answer_is_asked_for_again_twice(provider: Provider) -> None:
    with wire_server([Reply("")]) as server:
        assert fail(server.connection(provider)).code == "model_bad_answer"
    assert len(server.requests) == 1 + strict.MAX_REPAIRS


@all_formats
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_short_failure_of_the_provider_is_not_noticed(provider: Provider, status: int) -> None:
    first = Reply(status=status, headers={"Retry-After": "0.3"})
    began = time.monotonic()
    with wire_server([first, Reply("Here.")]) as server:
        answer, _ = ask(server.connection(provider))
    assert answer.text == "Here."
    assert len(server.requests) == 2
    assert provider == Provider.GOOGLE or time.monotonic() - began > 0.3


@all_formats
@pytest.mark.parametrize(
    ("reply", "code", "requests"),
    [
        (Reply(status=500), "model_unavailable", 3),
        (Reply(status=429, headers={"Retry-After": "0"}), "model_rate_limited", 3),
        (Reply(status=429, headers={"Retry-After": "3600"}), "model_rate_limited", 1),
        (Reply(status=401, message=f"bad key {KEY}"), "model_auth", 1),
        (Reply(status=404), "model_not_found", 1),
        (Reply(status=400), "model_rejected_request", 1),
        (Reply(status=400, message="maximum context length is 10"), "model_context_full", 1),
    ],
)
def test_a_failure_has_words_and_no_key(
    provider: Provider, reply: Reply, code: str, requests: int
) -> None:
    with wire_server([reply]) as server:
        failure = fail(server.connection(provider))
    assert (failure.code, len(server.requests)) == (code, requests)
    assert failure.next_step


@all_formats
def test_the_web_page_of_a_failure_is_not_shown(provider: Provider) -> None:
    page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    with wire_server([Reply(status=502, page=page)]) as server:
        failure = fail(server.connection(provider))
    assert failure.code == "model_unavailable"
    assert "<" not in failure.message


@all_formats
def test_an_address_that_answers_with_a_web_page_is_to_be_corrected(provider: Provider) -> None:
    page = "<!doctype html><html><body>Welcome to Ollama</body></html>"
    with wire_server([Reply(page=page)]) as server:
        failure = fail(server.connection(provider))
        assert len(server.requests) == 1
    assert failure.code == "model_web_page"
    assert "correct the URL" in failure.next_step


@all_formats
@pytest.mark.parametrize("status", [429, 503])
def test_a_failure_says_how_long_the_provider_asks_to_wait(provider: Provider, status: int) -> None:
    with wire_server([Reply(status=status, headers={"Retry-After": "3600"})]) as server:
        assert fail(server.connection(provider)).next_step == "Try again in about an hour."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ("0", "in a few minutes"),
        ("31", "in about a minute"),
        ("150", "in about 3 minutes"),
        ("3599", "in about an hour"),
        ("6000", "in about 2 hours"),
        ("80000", "in about 23 hours"),
        ("172800", "in about 2 days"),
        ("1e300", "in more than a week"),
        ("soon", "in a few minutes"),
    ],
)
def test_a_wait_is_said_in_plain_words(seconds: str, words: str) -> None:
    with wire_server([Reply(status=429, headers={"Retry-After": seconds})]) as server:
        failure = fail(server.connection(Provider.OPENAI_COMPATIBLE))
    assert failure.next_step == f"Try again {words}."


@all_formats
def test_a_model_that_is_silent_fails_after_the_time_limit(provider: Provider) -> None:
    with wire_server([Reply("There are", silence=3)]) as server:
        failure = fail(server.connection(provider, timeout=0.3))
    assert failure.code == "model_timeout"


@all_formats
def test_tokens_without_usage_are_estimated(provider: Provider) -> None:
    with wire_server([Reply("There are three pipelines.", has_usage=False)]) as server:
        answer, _ = ask(server.connection(provider))
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] > 0
    assert answer.usage_metadata["output_tokens"] > 0


@all_formats
def test_a_private_address_is_refused_unless_it_is_allowed(provider: Provider) -> None:
    with wire_server([Reply("Hello")]) as server:
        failure = fail(server.connection(provider, allow_private=False))
    assert failure.code == "model_host_refused"
    assert server.requests == []


@all_formats
def test_a_redirect_is_not_followed(provider: Provider) -> None:
    with (
        wire_server([Reply("Hello")]) as other,
        wire_server(
            [Reply(status=307, headers={"Location": f"{other.url}/v1/chat/completions"})]
        ) as server,
    ):
        fail(server.connection(provider))
    assert other.requests == []


def test_environment_variables_do_not_redirect_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with wire_server([Reply("Hello")]) as trap, wire_server([Reply("Hello")]) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
            monkeypatch.setenv(name, trap.url)
        for name in (
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_API_URL",
            "GOOGLE_GEMINI_BASE_URL",
            "OPENAI_PROXY",
        ):
            monkeypatch.setenv(name, trap.url)
        for provider in FORMATS:
            ask(server.connection(provider))
    assert (len(server.requests), trap.requests) == (3, [])
