"""The number of values is checked before untrusted JSON or CSV is parsed."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.failures import ContractError
from apps.engine.frames import json_values
from apps.engine.frames.json_values import TooManyValues
from apps.engine.sources.bizon import guard
from apps.engine.sources.files.config import CsvOptions
from apps.engine.sources.files.csv_reader import CsvReader
from apps.engine.sources.files.json_readers import JsonLinesReader
from apps.engine.sources.http.responses import CompleteResponse
from apps.engine.sources.rest.source import parse_json

MANY_VALUES = 3_000_000
BODIES_WITH_TOO_MANY_VALUES = [
    b"[" + b"{}," * MANY_VALUES + b"{}]",
    b"[" + b"[]," * MANY_VALUES + b"[]]",
    b"[" + b"1," * (2 * MANY_VALUES) + b"1]",
]
JSON_VALUES = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def expected_count(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(expected_count, inner))


@given(JSON_VALUES)
def test_the_count_is_at_least_the_number_of_values(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert json_values.count_values(text) >= expected_count(value)
        assert json_values.count_values(text, exact_above=0) >= expected_count(value)


def test_an_exact_count_does_not_include_commas_in_texts() -> None:
    text = json.dumps(["1,2,{[" * 1000, 'a "quoted, \\" text', "\\"]).encode()
    assert json_values.count_values(text) > 3000
    assert json_values.count_values(text, exact_above=100) <= 2 * 4


@pytest.mark.parametrize("body", BODIES_WITH_TOO_MANY_VALUES)
def test_a_response_with_too_many_values_is_refused_before_it_is_parsed(body: bytes) -> None:
    with pytest.raises(TooManyValues):
        parse_json(CompleteResponse("200 OK", "http://a", {}, body, {}))
    response = requests.Response()
    response.raw = io.BytesIO(body)
    with pytest.raises(TooManyValues):
        guard._read_body(response)


@pytest.mark.parametrize("body", BODIES_WITH_TOO_MANY_VALUES)
def test_a_line_with_too_many_values_is_refused(body: bytes) -> None:
    with pytest.raises(TooManyValues):
        JsonLinesReader(io.BytesIO(body), "a.jsonl").read({}, 1000)


def test_a_file_with_a_million_columns_is_refused_and_quoted_commas_add_no_columns() -> None:
    header = ",".join(f"c{n}" for n in range(1_000_000)).encode()
    with pytest.raises(ContractError, match="columns"):
        CsvReader(io.BytesIO(header + b"\n"), CsvOptions(), "a.csv").read({}, 1000)
    quoted = b'"' + b"," * 5000 + b'",b\n1,2\n'
    frame: Any = CsvReader(io.BytesIO(quoted), CsvOptions(), "a.csv").read({}, 1000).content
    assert frame.shape == (1, 2)


def remove_strings(text: bytes) -> bytes:
    """Remove strings from JSON. A string that is not closed ends with the text."""
    remaining, position = bytearray(), 0
    while position < len(text):
        if text[position : position + 1] != b'"':
            remaining += text[position : position + 1]
            position += 1
            continue
        position += 1
        while position < len(text) and text[position : position + 1] != b'"':
            position += 2 if text[position : position + 1] == b"\\" else 1
        position += 1
    return bytes(remaining)


@given(st.lists(st.sampled_from([b'"', b"\\", b"a", b",", b"[", b"{", b"\n"])).map(b"".join))
def test_values_of_invalid_json_are_counted_outside_strings(text: bytes) -> None:
    structure = remove_strings(text)
    assert json_values.count_values(text, 0) == 1 + sum(
        structure.count(mark) for mark in (b",", b"[", b"{")
    )


def test_an_unterminated_string_is_scanned_once() -> None:
    """A search that started again at each quote would take days."""
    assert json_values.count_values(b'["' + b'\\"' * 4_000_000, 0) == 2
