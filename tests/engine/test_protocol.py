"""The line protocol decodes messages as they were encoded, and refuses all other lines."""

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
    FileMoved,
    FilesWithdrawn,
    LogLine,
    OutputFile,
    Progress,
    Started,
    Succeeded,
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
from apps.engine.source_columns import SourceColumns

COUNTS = st.integers(0, 2**53)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(TEXTS, VALUES, max_size=4)
MESSAGES = st.one_of(
    st.builds(Started, pid=COUNTS),
    st.builds(Progress, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.none() | COUNTS),
    st.builds(
        LogLine, TEXTS, st.sampled_from(["debug", "info", "warning", "error"]), TEXTS, MAPPINGS
    ),
    st.builds(OutputFile, TEXTS, TEXTS, COUNTS, COUNTS, TEXTS),
    st.builds(FilesWithdrawn, TEXTS),
    st.builds(FileMoved, TEXTS, TEXTS, COUNTS),
    st.builds(Succeeded, COUNTS, COUNTS, COUNTS, COUNTS),
    st.builds(
        Failed,
        st.sampled_from(FailureClass),
        TEXTS,
        st.lists(TEXTS, max_size=3).map(tuple),
        st.booleans(),
        st.none() | st.floats(0, 1e6),
    ),
    st.builds(
        SourceColumns,
        st.dictionaries(TEXTS, TEXTS, max_size=3),
        st.none() | st.lists(TEXTS, max_size=3),
        st.booleans(),
        st.lists(TEXTS, max_size=3),
        st.booleans(),
    ),
    st.builds(Result, MAPPINGS),
)


@given(MESSAGES)
def test_every_message_is_decoded_as_it_was_encoded(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == message


@given(st.lists(MESSAGES, max_size=5), st.data())
def test_lines_are_decoded_for_any_split_of_the_bytes(
    messages: list[Message], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, messages))
    reader, decoded = LineReader(), list[Message]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        decoded += [decode(line) for line in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert decoded == messages


@given(st.binary(max_size=300))
def test_random_bytes_raise_only_protocol_errors(data: bytes) -> None:
    reader = LineReader(limit=100)
    with contextlib.suppress(ProtocolError):
        for line in reader.feed(data):
            decode(line)


@given(MESSAGES, st.data())
def test_a_message_with_a_missing_extra_or_wrong_field_is_refused(
    message: Message, data: st.DataObject
) -> None:
    body: dict[str, Any] = orjson.loads(encode(message))
    name = data.draw(st.sampled_from(sorted(body)))
    original = body.pop(name)
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))
    body[name] = original
    body["extra"] = 1
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))
    del body["extra"]
    body[name] = "text" if name in {"seconds", "retry_after"} else 1.5
    with pytest.raises(ProtocolError):
        decode(orjson.dumps(body))


def _invalid_lines() -> Iterator[bytes]:
    yield b'{"v":%d,"type":"started","pid":1}' % (VERSION + 1)
    yield b'{"v":1,"type":["started"],"pid":1}'
    yield b'{"v":1,"type":"started","pid":true}'
    yield b'{"v":1,"type":"log","at":"","level":"loud","message":"","fields":{}}'
    yield b"[1]"
    yield b"null"
    yield b'{"v":1}'
    yield b"\xff\xfe"


@pytest.mark.parametrize("line", list(_invalid_lines()))
def test_invalid_lines_are_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


def test_a_line_longer_than_the_limit_is_refused() -> None:
    reader = LineReader(limit=1000)
    assert list(reader.feed(b"x" * 900)) == []
    with pytest.raises(ProtocolError, match="longer than 1000"):
        list(reader.feed(b"x" * 200))


def test_values_that_json_cannot_contain_are_replaced() -> None:
    message = decode(
        encode(LogLine("", "info", "lone \ud800 surrogate", {"n": 2**80, "o": object}))
    )
    assert isinstance(message, LogLine)
    assert message.message == "lone ? surrogate"
    assert message.fields["n"] == str(2**80)


def test_a_message_longer_than_the_limit_is_not_encoded() -> None:
    with pytest.raises(ProtocolError):
        encode(Result({"blob": "x" * (5 << 20)}))
