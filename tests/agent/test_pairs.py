"""Each tool call that a model is sent has exactly one answer, whatever has happened to the thread before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_openai.chat_models.base import _convert_message_to_dict

from apps.agent.graphs import pairs

IDS = ("a", "b", "c", "d")


def call(call_id: str | None) -> Any:
    return {"name": "list_pipelines", "args": {}, "id": call_id, "type": "tool_call"}


def blocks(ids: list[str]) -> list[Any]:
    text = {"type": "text", "text": "I look."}
    return [text, *({"type": "tool_use", "id": i, "name": "x", "input": {}} for i in ids)]


call_lists = st.lists(st.sampled_from([*IDS, "", None]), max_size=3)
answers_with_calls = call_lists.map(
    lambda ids: AIMessage("I look.", tool_calls=[call(i) for i in ids])
)
answers_with_blocks = st.tuples(call_lists, st.lists(st.sampled_from(IDS), max_size=3)).map(
    lambda pair: AIMessage(blocks(pair[1]), tool_calls=[call(i) for i in pair[0]])
)
answers_with_invalid_calls = call_lists.map(
    lambda ids: AIMessage(
        "",
        tool_calls=[call(i) for i in ids],
        invalid_tool_calls=[{"name": "x", "args": "{", "id": "e", "error": None}],
        additional_kwargs={"tool_calls": [{"id": "f"}]},
    )
)
messages_of_threads = st.lists(
    st.one_of(
        st.just(HumanMessage("hello")),
        answers_with_calls,
        answers_with_blocks,
        answers_with_invalid_calls,
        st.sampled_from(IDS).map(lambda i: ToolMessage("result", tool_call_id=i)),
    ),
    max_size=12,
)


def assert_in_pairs(messages: list[AnyMessage]) -> None:
    """Check that the answers directly follow their calls, in the same order, and that no id is used twice."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            assert waiting.pop(0) == message.tool_call_id
            continue
        assert waiting == []
        if isinstance(message, AIMessage):
            waiting = [str(c["id"]) for c in message.tool_calls]
            assert all(c["id"] for c in message.tool_calls)
            assert len({*waiting} - seen) == len(waiting)
            seen.update(waiting)
    assert waiting == []


@given(messages_of_threads)
def test_each_call_has_one_answer_and_each_answer_a_call(thread: list[AnyMessage]) -> None:
    assert_in_pairs(pairs.in_pairs(thread, {}))


@given(messages_of_threads)
def test_messages_in_pairs_do_not_change(thread: list[AnyMessage]) -> None:
    paired = pairs.in_pairs(thread, {})
    assert pairs.unanswered_calls(paired) == []
    assert pairs.in_pairs(paired, {}) == paired


@given(messages_of_threads)
def test_the_texts_of_users_and_models_are_kept(thread: list[AnyMessage]) -> None:
    def texts(messages: list[AnyMessage]) -> list[str]:
        return [str(m.text) for m in messages if m.type != "tool" and m.text]

    left_out = pairs.CALLS_LEFT_OUT
    assert [t for t in texts(pairs.in_pairs(thread, {})) if t != left_out] == texts(thread)


@given(messages_of_threads)
def test_providers_get_each_call_with_one_answer(thread: list[AnyMessage]) -> None:
    """The providers' own packages add calls from other parts of a message, so their output is checked too.

    Anthropic's package is imported only here, because its import takes each test process two seconds.
    """
    from langchain_anthropic.chat_models import _format_messages

    paired = pairs.in_pairs(thread, {})
    asked = [c["id"] for m in map(openai_message, paired) for c in m.get("tool_calls") or ()]
    answered = [m["tool_call_id"] for m in map(openai_message, paired) if m["role"] == "tool"]
    assert asked == answered
    _, formatted = _format_messages(paired, model="claude-sonnet-4-5")
    parts = [part for m in formatted if isinstance(m["content"], list) for part in m["content"]]
    assert [p["id"] for p in parts if p["type"] == "tool_use"] == asked
    assert [p["tool_use_id"] for p in parts if p["type"] == "tool_result"] == asked


def openai_message(message: AnyMessage) -> Any:
    return _convert_message_to_dict(message)


def test_a_missing_answer_says_what_became_of_the_call() -> None:
    thread: list[AnyMessage] = [
        HumanMessage("hello"),
        AIMessage("", tool_calls=[call("a"), call("b")]),
    ]
    assert pairs.unanswered_calls(thread) == ["a", "b"]
    _, _, first, second = pairs.in_pairs(thread, {"a": "The turn ended."})
    assert (first.content, second.content) == ("The turn ended.", pairs.UNKNOWN)
    assert {first.status, second.status} == {"error"}  # type: ignore[union-attr]


def test_an_answer_without_its_call_is_removed() -> None:
    thread: list[AnyMessage] = [
        HumanMessage("hello"),
        ToolMessage("result", tool_call_id="a"),
        AIMessage("Hello."),
    ]
    assert [m.type for m in pairs.in_pairs(thread, {})] == ["human", "ai"]
