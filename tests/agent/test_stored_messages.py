"""The messages of a thread are loaded as LangGraph loads them, each of them once."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from apps.agent.graphs.stored_messages import ThreadSerializer, split

TEXTS = st.text(max_size=300)
MESSAGES = st.one_of(
    st.builds(HumanMessage, content=TEXTS, id=TEXTS),
    st.builds(AIMessage, content=TEXTS, id=TEXTS),
    st.builds(ToolMessage, content=TEXTS, id=TEXTS, tool_call_id=TEXTS),
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS | st.binary(max_size=70_000),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


def langgraph() -> JsonPlusSerializer:
    return JsonPlusSerializer(allowed_msgpack_modules=None)


@given(st.lists(MESSAGES, max_size=20) | st.lists(MESSAGES | PLAIN, max_size=4) | PLAIN)
def test_every_value_is_loaded_as_langgraph_loads_it(value: Any) -> None:
    stored = langgraph().dumps_typed(value)
    assert ThreadSerializer().dumps_typed(value) == stored
    assert ThreadSerializer().loads_typed(stored) == langgraph().loads_typed(stored)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_whole_array_of_messages_are_left_to_langgraph(blob: bytes) -> None:
    parts = split(blob)
    if parts is not None:
        assert blob.endswith(b"".join(parts))
        assert len(blob) - len(b"".join(parts)) in {1, 3, 5}


def test_a_message_that_several_checkpoints_contain_is_loaded_once() -> None:
    messages = [HumanMessage(f"message {number}", id=str(number)) for number in range(100)]
    serializer = ThreadSerializer()
    first = serializer.loads_typed(langgraph().dumps_typed(messages[:99]))
    second = serializer.loads_typed(langgraph().dumps_typed(messages))
    assert second == messages
    assert all(a is b for a, b in zip(first, second, strict=False))


def test_the_list_itself_is_new_each_time() -> None:
    stored = langgraph().dumps_typed([HumanMessage("hello", id="1")])
    serializer = ThreadSerializer()
    serializer.loads_typed(stored).clear()
    assert len(serializer.loads_typed(stored)) == 1
