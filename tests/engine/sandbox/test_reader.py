"""The reader accepts valid messages of a sandbox and refuses all other bytes."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.sandbox.limits import BrokenOutput
from apps.engine.sandbox.reader import MESSAGE_KINDS, BoundedReader, decode_line

VALID_LINES = [
    b'{"t":"ready","layers":["landlock"]}',
    b'{"t":"rows","rows":[{"a":1,"b":"x"},{}]}',
    b'{"t":"log","level":"info","message":"hello"}',
    b'{"t":"request","method":"GET","url":"https://a/b","status":200,"ms":1.5}',
    b'{"t":"answer","rows":2,"next":{"n":1},"state":null}',
    b'{"t":"error","failure":"source","message":"m","evidence":["e"],"retry_after":1,"retryable":true,"line":3}',
]
TOKENS = [
    b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"1e999", b"-0", b"NaN", b'"t"', b'"rows"',
    b"\\u0000", b"\\ud800", b"\xff", b"\x00", b"9" * 40, b"\n", b'"answer"', b'"error"', b"{}", b"[]",
]  # fmt: skip


@pytest.mark.parametrize("line", VALID_LINES)
def test_every_known_message_is_read(line: bytes) -> None:
    message = decode_line(line)
    assert message.kind == json.loads(line)["t"]


@pytest.mark.parametrize("tries", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_fuzzed_lines_are_read_or_refused(tries: int) -> None:
    rng = random.Random(20_261_127)
    read_count = refused_count = 0
    for _ in range(tries):
        line = _mutated_line(rng)
        try:
            message = decode_line(line)
        except BrokenOutput:
            refused_count += 1
        else:
            read_count += 1
            assert message.kind in MESSAGE_KINDS
    assert read_count + refused_count == tries
    assert read_count > 1_000
    assert refused_count > tries // 2


def _mutated_line(rng: random.Random) -> bytes:
    line = bytearray(rng.choice(VALID_LINES))
    for _ in range(rng.randrange(1, 5)):
        position = rng.randrange(len(line) + 1)
        change = rng.randrange(4)
        if change == 0:
            line[position:position] = rng.choice(TOKENS)
        elif change == 1:
            del line[position : position + rng.randrange(1, 6)]
        elif change == 2 and position < len(line):
            line[position] = rng.randrange(256)
        else:
            other_line = rng.choice(VALID_LINES)
            line[position:] = other_line[rng.randrange(len(other_line)) :]
    return bytes(line)


@given(st.lists(st.sampled_from(VALID_LINES), max_size=8), st.data())
def test_the_reader_returns_the_same_messages_for_any_split_of_the_bytes(
    lines: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    reader, kinds = BoundedReader(10_000), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        kinds += [message.kind for message in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert kinds == [json.loads(line)["t"] for line in lines]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_as_messages_or_refused(data: bytes) -> None:
    reader = BoundedReader(100)
    kinds: set[str] = set()
    with contextlib.suppress(BrokenOutput):
        kinds.update(message.kind for message in reader.feed(data))
    assert kinds <= MESSAGE_KINDS


def test_a_line_longer_than_the_limit_is_refused() -> None:
    reader = BoundedReader(1000)
    assert list(reader.feed(b"x" * 999)) == []
    with pytest.raises(BrokenOutput, match="longer than"):
        list(reader.feed(b"xx"))
