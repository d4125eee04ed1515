"""The sandbox's output is either a valid message or refused, for any input."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.sandbox.limits import BrokenOutput
from apps.engine.sandbox.reader import KINDS, BoundedReader, decode_line

GOOD = [
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


@pytest.mark.parametrize("line", GOOD)
def test_every_known_message_is_read(line: bytes) -> None:
    read = decode_line(line)
    assert read.kind == json.loads(line)["t"]


@pytest.mark.parametrize("tries", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_fuzzed_lines_are_read_or_refused_and_nothing_else(tries: int) -> None:
    chance = random.Random(20_261_127)
    read = refused = 0
    for _ in range(tries):
        line = _mutated(chance)
        try:
            message = decode_line(line)
        except BrokenOutput:
            refused += 1
        else:
            read += 1
            assert message.kind in KINDS
    assert read + refused == tries
    assert read > 1_000
    assert refused > tries // 2


def _mutated(chance: random.Random) -> bytes:
    line = bytearray(chance.choice(GOOD))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(line) + 1)
        how = chance.randrange(4)
        if how == 0:
            line[at:at] = chance.choice(TOKENS)
        elif how == 1:
            del line[at : at + chance.randrange(1, 6)]
        elif how == 2 and at < len(line):
            line[at] = chance.randrange(256)
        else:
            other = chance.choice(GOOD)
            line[at:] = other[chance.randrange(len(other)) :]
    return bytes(line)


@given(st.lists(st.sampled_from(GOOD), max_size=8), st.data())
def test_however_the_bytes_are_cut_the_same_messages_come_out(
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
def test_any_bytes_are_messages_or_refused(data: bytes) -> None:
    reader = BoundedReader(100)
    kinds: set[str] = set()
    with contextlib.suppress(BrokenOutput):
        kinds.update(message.kind for message in reader.feed(data))
    assert kinds <= KINDS


def test_a_line_that_never_ends_is_refused_at_its_limit() -> None:
    reader = BoundedReader(1000)
    assert list(reader.feed(b"x" * 999)) == []
    with pytest.raises(BrokenOutput, match="longer than"):
        list(reader.feed(b"xx"))
