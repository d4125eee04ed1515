"""The line protocol: messages are decoded as they were encoded, and anything else is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.contract import (
    Failed,
    LogLine,
    OutputFile,
    Progress,
    Started,
    Succeeded,
    Withdrawn,
)
from apps.engine.failures import FailureClass
from apps.engine.process.protocol import (
    VERSION,
    LineReader,
    Message,
    ProtocolError,
    Result,
    decode,
    encode,
)

counts = st.integers(0, 2**53)
words = st.text(st.characters(codec="utf-8"), max_size=60)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(words, values, max_size=4)
messages = st.one_of(
    st.builds(Started, pid=counts),
    st.builds(Progress, counts, counts, counts, counts, counts, st.none() | counts),
    st.builds(
        LogLine, words, st.sampled_from(["debug", "info", "warning", "error"]), words, mappings
    ),
    st.builds(OutputFile, words, words, counts, counts, words),
    st.builds(Withdrawn, words),
    st.builds(Succeeded, counts, counts, counts, counts),
    st.builds(
        Failed,
        st.sampled_from(FailureClass),
        words,
        st.lists(words, max_size=3).map(tuple),
        st.booleans(),
        st.none() | st.floats(0, 1e6),
    ),
    st.builds(Result, mappings),
)


@given(messages)
def test_every_message_survives_the_wire(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == message


@given(st.lists(messages, max_size=5), st.data())
def test_lines_are_the_same_however_the_pipe_cuts_them(
    sent: list[Message], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, sent))
    reader, heard = LineReader(), list[Message]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        heard += [decode(line) for line in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert heard == sent


@given(st.binary(max_size=300))
def test_garbage_is_a_protocol_error_and_never_anything_else(data: bytes) -> None:
    reader = LineReader(limit=100)
    with contextlib.suppress(ProtocolError):
        for line in reader.feed(data):
            decode(line)


@given(messages, st.data())
def test_a_message_with_one_field_spoiled_is_refused(message: Message, data: st.DataObject) -> None:
    body: dict[str, Any] = orjson.loads(encode(message))
    name = data.draw(st.sampled_from(sorted(body)))
    kept = body.pop(name)
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))
    body[name] = kept
    body["extra"] = 1
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))
    del body["extra"]
    body[name] = [object.__name__] if not isinstance(kept, list) else "text"
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))


def _hostile() -> Iterator[bytes]:
    yield b'{"v":%d,"type":"started","pid":1}' % (VERSION + 1)
    yield b'{"v":1,"type":["started"],"pid":1}'
    yield b'{"v":1,"type":"started","pid":true}'
    yield b'{"v":1,"type":"log","at":"","level":"loud","message":"","fields":{}}'
    yield b"[1]"
    yield b"null"
    yield b'{"v":1}'
    yield b"\xff\xfe"


@pytest.mark.parametrize("line", list(_hostile()))
def test_hostile_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


def test_a_line_without_an_end_is_cut_off_at_the_limit() -> None:
    reader = LineReader(limit=1000)
    assert list(reader.feed(b"x" * 900)) == []
    with pytest.raises(ProtocolError, match="longer than 1000"):
        list(reader.feed(b"x" * 200))


def test_text_that_json_cannot_carry_is_made_harmless() -> None:
    said = decode(encode(LogLine("", "info", "lone \ud800 surrogate", {"n": 2**80, "o": object})))
    assert isinstance(said, LogLine)
    assert said.message == "lone ? surrogate"
    assert said.fields["n"] == str(2**80)


def test_a_message_too_long_for_any_reader_is_not_sent() -> None:
    with pytest.raises(ProtocolError):
        encode(Result({"blob": "x" * (5 << 20)}))
