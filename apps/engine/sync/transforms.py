"""Apply a user's Python function `transform(record)` to records, in a sandbox without network access."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import orjson
from bizon.source.models import SourceIteration
from loguru import logger
from polars import selectors as cs

from apps.engine.contract import CodeSpec, SandboxSpec
from apps.engine.failures import ContractError, EngineError, FailureClass
from apps.engine.frames.json_numbers import JsonNumber
from apps.engine.frames.kept_records import (
    FindSource,
    KeptRecord,
    find_in_frame,
    find_in_rows,
)
from apps.engine.frames.left_out import MAX_KEPT, LeftOutRecords, page_position
from apps.engine.frames.native import NativeTable
from apps.engine.frames.records import NOT_AN_OBJECT
from apps.engine.frames.texts import Unrepresentable, exact_text
from apps.engine.frames.values import to_column_type
from apps.engine.library import numbers
from apps.engine.sandbox import type_tags
from apps.engine.sandbox.limits import BrokenOutput, Limits
from apps.engine.sandbox.process import SandboxSite
from apps.engine.sandbox.session import Callbacks, Sandbox
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import rows_page
from apps.engine.sources.custom.source import LOGURU_LEVELS

SLICE_ROWS = 2_000  # records sent at once
SKIPPED = "the transform returned nothing"

Row = dict[str, Any]


class TransformFailed(ContractError):
    """The transform raised an exception or exceeded a limit, so a record or the code is wrong."""


class Transform:
    """Runs the code in one sandbox from creation to `close`. The sandbox ends with the thread that creates it.

    A page without records is not changed. A record that is not an object is rejected and not sent to the code.
    """

    def __init__(self, code: CodeSpec, sandbox: SandboxSpec) -> None:
        self.received = self.returned = self.skipped = 0  # records
        self._changed: set[str] = set()  # columns that have got values which they did not have
        self._sandbox = Sandbox(
            code.text,
            site=SandboxSite(sandbox.home, sandbox.min_isolation),
            limits=Limits.from_json(sandbox.limits),
            callbacks=Callbacks(log=_log),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def apply(self, page: SourceIteration, iteration: int = 0) -> SourceIteration:
        """Return the page with transformed records. Raises EngineError.

        A record for which the code returns nothing is skipped.
        """
        left_out = getattr(page, "left_out", None) or LeftOutRecords()
        native = getattr(page, "native", None) or NativeTable()
        transformed: list[Any] = []
        # For each transformed record, the index in the page of the record that it was made from.
        origins: list[int | None] = []
        first = 0  # index in the page of the slice's first row
        for rows, types in _slices(page):
            indexes = [index for index, row in enumerate(rows) if isinstance(row, Mapping)]
            records: Sequence[Mapping[str, object]] = [rows[index] for index in indexes]
            for index in sorted({*range(len(rows))} - {*indexes}):
                position = page_position(iteration, first + index)
                left_out.add("rejected", rows[index], reason=NOT_AN_OBJECT, position=position)
            if types is None:
                records, types = type_tags.tag_rows(records)
            returned, skipped = self._transform_records(records, types)
            transformed += returned
            origins += _origins(len(returned), [first + index for index in indexes], skipped)
            self._find_changed_columns(native, records, returned)
            # Only the first records are kept. Converting all of them to text would take as long as the transform.
            kept = skipped[: max(MAX_KEPT["skipped"] - self.skipped, 0)]
            for number in kept:
                position = page_position(iteration, first + indexes[number])
                left_out.add("skipped", records[number], reason=SKIPPED, position=position)
            left_out.count_more("skipped", len(skipped) - len(kept))
            self.skipped += len(skipped)
            first += len(rows)
        if not transformed and isinstance(page, FrameIteration) and not page.frame.height:
            return page  # The frame still has the columns of an empty stream.
        unchanged = native.without_types(self._changed)
        changed = rows_page(transformed, page.next_pagination, page.next_state, left_out, unchanged)
        changed.find_source = _find_source(page, origins)
        return changed

    def _find_changed_columns(
        self, native: NativeTable, records: Sequence[Mapping[str, Any]], returned: Sequence[Any]
    ) -> None:
        """Find the columns with native types that have got values which none of the records has.

        Such a value may not fit the type. From then on, the column has Drover's types.
        """
        names = {name for name, column in native.columns.items() if column.type} - self._changed
        rows = [row for row in returned if type(row) is dict] if names else []
        self._changed |= {name for name in names if _has_new_values(name, records, rows)}

    def conclude(self) -> None:
        """End the sandbox and log the totals. Call this after the last page. Raises EngineError if a limit was exceeded."""
        try:
            self._sandbox.conclude()
        except EngineError as error:
            raise _to_transform_failure(error) from error
        logger.info(
            "The transform received {:,} records, skipped {:,} and returned {:,}",
            self.received,
            self.skipped,
            self.returned,
        )

    def close(self) -> None:
        self._sandbox.close()

    def _transform_records(
        self, records: Sequence[Mapping[str, Any]], types: Mapping[str, str]
    ) -> tuple[list[Any], list[int]]:
        """Return the transformed records, and the indexes of the records for which there are none."""
        if not records:
            return [], []
        try:
            rows, has_exact_numbers = _encode_records(records)
            marks = {"exact": True} if has_exact_numbers else {}
            answer = self._sandbox.call("transform", **marks, rows=rows, types=types)
        except EngineError as error:
            raise _to_transform_failure(error) from error
        if answer.values.get("rows") != len(answer.rows):
            raise BrokenOutput(
                "The transform returned a different number of records than it announced."
            )
        self.received += len(records)
        self.returned += len(answer.rows)
        return answer.rows, _checked_indexes(answer.values.get("skipped"), len(records))


def _origins(returned: int, sent: Sequence[int], skipped: Sequence[int]) -> list[int | None]:
    """Return for each returned record which of the `sent` it comes from. It is unknown if one has become several."""
    if returned != len(sent) - len(skipped):
        return [None] * returned
    without = set(skipped)
    return [index for number, index in enumerate(sent) if number not in without]


def _find_source(page: SourceIteration, origins: Sequence[int | None]) -> FindSource:
    """Return a function that finds the record of the source from which the transform has made a record."""
    find = getattr(page, "find_source", None)
    if find is None and isinstance(page, FrameIteration):
        find = find_in_frame(page.frame, page.native)
    elif find is None:
        find = find_in_rows(page.rows if isinstance(page, RowsIteration) else page.records)

    def find_origin(index: int) -> KeptRecord | None:
        origin = origins[index]
        return None if origin is None else find(origin)

    return find_origin


def _checked_indexes(value: Any, count: int) -> list[int]:
    """Return the indexes of skipped records that the sandbox has sent, in order. Raises BrokenOutput."""
    if not isinstance(value, list) or not all(type(item) is int for item in value):
        raise BrokenOutput("The transform did not say which records it skips.")
    if value and not (value[0] >= 0 and value[-1] < count and value == sorted(set(value))):
        raise BrokenOutput("The transform skips records that it did not receive.")
    return value


def _has_new_values(
    name: str, records: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether the field has a value in the rows that it has in none of the records."""
    sent = [record.get(name) for record in records]
    received = [row.get(name) for row in rows]
    sent_types, received_types = set(map(type, sent)), set(map(type, received))
    if bool in sent_types | received_types and received_types - sent_types - {type(None)}:
        return True  # In Python, True equals 1.
    if sent == received:  # This takes a fifth of the time of a set.
        return False
    if any(isinstance(value, list | dict) for value in received):
        return True
    new = set(received) - {None, *sent}
    if any(map(_is_nan, sent)):
        new = {value for value in new if not _is_nan(value)}
    return bool(new)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _log(level: str, message: str) -> None:
    logger.bind(by="transform").log(LOGURU_LEVELS.get(level, "INFO"), "{}", message)


def _slices(page: SourceIteration) -> Iterator[tuple[Sequence[Any], Mapping[str, str] | None]]:
    """Yield the records of a page in slices, with the column types that JSON lacks, or None for a page of rows."""
    if isinstance(page, FrameIteration):
        # Times that Python cannot represent, such as nanoseconds, become text.
        times = [to_column_type(series)[0] for series in page.frame.select(cs.temporal())]
        frame = page.frame.with_columns(times)
        types = type_tags.tags_of_frame(frame)
        for part in frame.iter_slices(SLICE_ROWS):
            yield part.to_dicts(), types
        return
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    for start in range(0, len(rows), SLICE_ROWS):
        yield [getattr(row, "data", row) for row in rows[start : start + SLICE_ROWS]], None


def _encode_records(records: Sequence[Mapping[str, Any]]) -> tuple[orjson.Fragment, bool]:
    """Return the records as JSON, and whether it has values that orjson would change."""
    encoder = _Encoder()
    options = orjson.OPT_NON_STR_KEYS
    try:
        encoded = orjson.dumps(records, default=encoder.to_json_value, option=options)
    except TypeError:
        # orjson also raises it for integers of more than 64 bits, and for lone surrogates.
        return orjson.Fragment(encoder.exact_json(records)), encoder.has_fragments
    if b"null" in encoded and numbers.has_non_finite(records):
        encoded = encoder.exact_json(records)
    return orjson.Fragment(encoded), encoder.has_fragments


class _Encoder:
    """Converts values that orjson does not know or that it cannot encode."""

    def __init__(self) -> None:
        self.has_fragments = False

    def to_json_value(self, value: Any) -> Any:
        """Convert bytes to base64, numbers of JSON to their text, and every other value to its exact text."""
        if isinstance(value, JsonNumber):
            self.has_fragments = True
            return orjson.Fragment(value.text)
        return b64encode(value).decode() if isinstance(value, bytes) else exact_text(value)

    def exact_json(self, records: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the JSON of records with values that orjson cannot encode. Raises TransformFailed."""
        self.has_fragments = True
        try:
            return f"[{','.join(map(self._object_text, records))}]".encode()
        except (Unrepresentable, RecursionError) as error:
            raise TransformFailed(f"A record cannot be sent to the transform: {error}.") from error

    def _object_text(self, record: Mapping[Any, Any]) -> str:
        members = (
            f"{json.dumps('null' if name is None else exact_text(name))}:{self._value_text(value)}"
            for name, value in record.items()
        )
        return f"{{{','.join(members)}}}"

    def _value_text(self, value: Any) -> str:
        """Return JSON from which Python's parser reads the same value, also NaN and lone surrogates."""
        if isinstance(value, Mapping):
            return self._object_text(value)
        if isinstance(value, list | tuple):
            return f"[{','.join(map(self._value_text, value))}]"
        if isinstance(value, str) or (
            isinstance(value, float) and not isinstance(value, JsonNumber)
        ):
            return json.dumps(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return exact_text(value)
        try:
            return orjson.dumps(value, default=self.to_json_value).decode()
        except TypeError:
            return json.dumps(exact_text(value))


def _to_transform_failure(error: EngineError) -> EngineError:
    """Convert a source failure to a failure of the transform, because the source did not cause it."""
    if error.failure_class is not FailureClass.SOURCE:
        return error
    message = error.message.replace("The code", "The transform", 1)
    return TransformFailed(message, evidence=error.evidence)
