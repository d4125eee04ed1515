"""Apply the rules for the fields of a stream to its pages, before anything else sees the records.

Protected values are replaced here, so they reach neither a transform nor the staging, a file, a log or a preview. A
record with a value that cannot be cast or hashed is rejected.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import polars as pl
from bizon.source.models import SourceIteration

from apps.engine.failures import ConfigurationError
from apps.engine.field_rules import REDACTED, FieldRule, FieldRules
from apps.engine.frames.casts import WORDS_OF_TYPES, cast_texts, find_misfits
from apps.engine.frames.columns import as_text
from apps.engine.frames.decoding import describe_value
from apps.engine.frames.kept_records import (
    FindSource,
    KeptRecord,
    find_in_frame,
    find_in_rows,
)
from apps.engine.frames.left_out import (
    LeftOutRecord,
    LeftOutRecords,
    page_position,
    without_value,
)
from apps.engine.frames.native import NativeTable
from apps.engine.frames.records import NOT_AN_OBJECT
from apps.engine.frames.texts import Unrepresentable, exact_text
from apps.engine.frames.values import to_column_type
from apps.engine.sources.base import FrameIteration, RowsIteration
from apps.engine.sources.connector import frame_page, rows_page

MIN_COMPARED = 4  # characters of a value that must not be part of a position
HIDDEN = json.dumps(
    "the record is not shown, because fields of the stream are dropped or protected"
)

Reasons = dict[int, str]  # why a record is rejected, by its index in the page


class FieldChanges:
    """Changes the pages of one stream by its rules."""

    def __init__(self, rules: FieldRules, *, hashed: Collection[str] = ()) -> None:
        """`hashed` are the fields whose values are hashes already, because the records were kept by these rules."""
        self._rules = rules
        self._hashed = frozenset(hashed)
        self._by_field = {rule.field: rule for rule in rules.rules}
        self._key = rules.hash_secret.encode()

    def apply(self, page: SourceIteration, iteration: int = 0) -> SourceIteration:
        """Return the page with changed fields. Raises ConfigurationError if two fields would get one name."""
        self._require_hidden_position(page)
        left_out = self._hide(getattr(page, "left_out", None) or LeftOutRecords())
        found_native = getattr(page, "native", None)
        native = self._change_native(found_native)
        ending = (page.next_pagination, page.next_state, left_out, native)
        if isinstance(page, FrameIteration):
            find = self._without_hidden_values(find_in_frame(page.frame, found_native))
            frame, kept = self._change_frame(page.frame, left_out, iteration, find)
            changed_frame = frame_page(frame, *ending)
            changed_frame.find_source = _of_changed(find, kept)
            return changed_frame
        rows = page.rows if isinstance(page, RowsIteration) else page.records
        if not isinstance(rows, list | tuple):
            return page  # The reader refuses it.
        find = self._without_hidden_values(find_in_rows(rows, found_native))
        changed, kept = self._change_rows(rows, left_out, iteration, find)
        changed_rows = rows_page(changed, *ending)
        changed_rows.find_source = _of_changed(find, kept)
        return changed_rows

    # Frames

    def _change_frame(
        self,
        frame: pl.DataFrame,
        left_out: LeftOutRecords,
        iteration: int,
        find: FindSource,
    ) -> tuple[pl.DataFrame, Sequence[int]]:
        """Return the changed frame, and the index in the page of each of its rows.

        `find` finds the records of the page.
        """
        reasons: Reasons = {}
        columns: dict[str, pl.Series] = {}
        for series in frame.iter_columns():
            rule = self._rule_of(series.name)
            if rule.drop:
                continue
            _require_free(rule.final_name, columns)
            columns[rule.final_name] = self._change_series(rule, series, reasons)
        if frame.width and not columns:
            raise ConfigurationError("No field of the stream arrives: its rules drop all of them")
        changed = pl.DataFrame([series.alias(name) for name, series in columns.items()])
        if not reasons:
            return changed, range(frame.height)
        for index in sorted(reasons):
            left_out.add(
                "rejected",
                self._rejected_row(frame, columns, index),
                reason=reasons[index],
                position=page_position(iteration, index),
                find_source=partial(find, index),
            )
        fits = pl.Series([index not in reasons for index in range(frame.height)])
        return changed.filter(fits), fits.arg_true().to_list()

    def _change_series(self, rule: FieldRule, series: pl.Series, reasons: Reasons) -> pl.Series:
        if rule.protect:
            readable = as_text(to_column_type(series)[0]).to_list()
            hidden = [None if text is None else self._protect(rule, text) for text in readable]
            return pl.Series(series.name, hidden, dtype=pl.String)
        if not rule.type:
            return series
        texts = as_text(to_column_type(series)[0]).cast(pl.String)
        values = cast_texts(texts, rule.type)
        for index in find_misfits(texts, values):
            reasons.setdefault(index, _misfit(rule, texts[index]))
        return values

    def _rejected_row(
        self, frame: pl.DataFrame, columns: Mapping[str, pl.Series], index: int
    ) -> dict[str, Any]:
        """Return the row as it would have arrived, with the values that could not be cast."""
        row = {name: series[index] for name, series in columns.items()}
        for rule in self._rules.rules:
            if rule.type and rule.field in frame.columns:
                row[rule.final_name] = to_column_type(frame[rule.field])[0][index]
        return row

    # Rows

    def _change_rows(
        self, rows: Sequence[Any], left_out: LeftOutRecords, iteration: int, find: FindSource
    ) -> tuple[list[Any], list[int]]:
        """Return the changed rows, and the index in the page of each.

        A row that is not an object is returned as it is, or rejected if it may have values that must not be seen.
        """
        records = [getattr(row, "data", row) for row in rows]
        reasons: Reasons = {}
        casts = {rule.field: self._cast_values(rule, records, reasons) for rule in self._casts()}
        changed: list[Any] = []
        kept: list[int] = []
        for index, record in enumerate(records):
            position = page_position(iteration, index)
            if not isinstance(record, Mapping):
                if self._rules.hides_values:
                    left_out.add("rejected", _hidden(), reason=NOT_AN_OBJECT, position=position)
                else:
                    changed.append(record)
                    kept.append(index)
                continue
            values = {field: casts[field][index] for field in casts if index not in reasons}
            row = self._change_record(record, values, index, reasons)
            if reason := reasons.get(index):
                left_out.add(
                    "rejected",
                    row,
                    reason=reason,
                    position=position,
                    find_source=partial(find, index),
                )
            else:
                changed.append(row)
                kept.append(index)
        return changed, kept

    def _casts(self) -> Iterator[FieldRule]:
        return (rule for rule in self._rules.rules if rule.type)

    def _cast_values(self, rule: FieldRule, records: Sequence[Any], reasons: Reasons) -> list[Any]:
        """Return the value of the field in each record, as the type of the rule."""
        texts: list[str | None] = []
        for index, record in enumerate(records):
            value = record.get(rule.field) if isinstance(record, Mapping) else None
            text = _text_of(value)
            if text is None and value is not None:
                reasons.setdefault(index, f"the field {rule.field!r} has a value without a text")
            texts.append(text)
        series = pl.Series(rule.field, texts, dtype=pl.String)
        assert rule.type  # noqa: S101 - the caller passes casts only
        values = cast_texts(series, rule.type)
        for index in find_misfits(series, values):
            reasons.setdefault(index, _misfit(rule, series[index]))
        return values.to_list()

    def _change_record(
        self, record: Mapping[Any, Any], casts: Mapping[str, Any], index: int, reasons: Reasons
    ) -> dict[Any, Any]:
        """Return the record with the names and values by the rules. A value that cannot be hashed adds a reason."""
        changed: dict[Any, Any] = {}
        for field, value in record.items():
            rule = self._rule_of(field)
            if rule.drop:
                continue
            _require_free(rule.final_name, changed)
            if rule.protect and value is not None:
                text = _text_of(value)
                if text is None:
                    reasons.setdefault(index, f"the field {field!r} has a value without a text")
                value = REDACTED if text is None else self._protect(rule, text)
            changed[rule.final_name] = casts.get(field, value)
        return changed

    # Both

    def _without_hidden_values(self, find: FindSource) -> FindSource:
        """Return a function that finds a record of the source without the values that the rules drop or protect.

        The records have the names and types of the source.
        """

        def find_without_values(index: int) -> KeptRecord | None:
            record = find(index)
            fields = self._source_fields(record.fields) if record is not None else None
            if record is None or not fields:
                return None
            arriving = fields.keys() - self._rules.protected
            native = {name: kind for name, kind in record.native.items() if name in arriving}
            return replace(record, fields=fields, native=native)

        return find_without_values

    def _source_fields(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the fields of a record that may be kept, or None if a value cannot be replaced."""
        fields: dict[str, Any] = {}
        for field, value in record.items():
            rule = self._rule_of(field)
            if rule.drop:
                continue
            fields[field] = value
            if rule.protect and value is not None:
                text = _text_of(value)
                if text is None:
                    return None
                fields[field] = self._protect(rule, text)
        return fields

    def _rule_of(self, field: Any) -> FieldRule:
        rule = self._by_field.get(field)
        return rule or FieldRule(field, drop=self._rules.others == "drop")

    def _protect(self, rule: FieldRule, text: str) -> str:
        if rule.protect == "redact":
            return REDACTED
        if rule.field in self._hashed:
            return text
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def _change_native(self, native: NativeTable | None) -> NativeTable | None:
        """Return what the source declares about the columns that arrive. A rewritten column has no native type."""
        if native is None:
            return None
        plain = native.without_types(self._rules.rewritten)
        arriving = {
            self._rule_of(name).final_name: column
            for name, column in plain.columns.items()
            if not self._rule_of(name).drop
        }
        return NativeTable(arriving, native.comment)

    def _hide(self, left_out: LeftOutRecords) -> LeftOutRecords:
        """Hide the values of records that the source has left out, if the rules drop or protect their fields."""
        if self._rules.hides_values:
            left_out.change(self._hide_record)
        return left_out

    def _hide_record(self, record: LeftOutRecord) -> LeftOutRecord:
        reason = without_value(record.reason)
        fields = _parsed(record)
        if fields is None:
            return replace(record, reason=reason, record=HIDDEN, complete=False)
        hidden = {
            name: REDACTED if self._rule_of(name).protect else value
            for name, value in fields.items()
            if not self._rule_of(name).drop
        }
        return replace(record, reason=reason, record=json.dumps(hidden, ensure_ascii=False))

    def _require_hidden_position(self, page: SourceIteration) -> None:
        """Raise ConfigurationError if the position in the source, which is stored, has a protected value."""
        cursor = (page.next_state or {}).get("cursor_field")
        if cursor in self._rules.protected:
            raise _exposed(cursor)
        texts = {*_texts_in(page.next_pagination), *_texts_in(page.next_state)}
        if not texts or not self._rules.protected:
            return
        last = _last_record(page)
        # A value that another field has too, such as the cursor field, is readable anyway.
        readable = {_text_of(last[field]) for field in last.keys() - self._rules.protected}
        for field in self._rules.protected & last.keys():
            text = _text_of(last[field])
            if text and len(text) >= MIN_COMPARED and text in texts - readable:
                raise _exposed(field)


def _of_changed(find: FindSource, kept: Sequence[int]) -> FindSource:
    """Return a function that finds the record of a changed page. `kept` are the indexes of its records in the page before."""
    return lambda index: find(kept[index])


def _require_free(name: Any, taken: Mapping[Any, Any]) -> None:
    if name in taken:
        raise ConfigurationError(
            f"Two fields of a record would arrive as {name!r}: rename or drop one of them",
        )


def _exposed(field: str) -> ConfigurationError:
    return ConfigurationError(
        f"The source continues after values of the field {field!r}, so they would be stored as its position, and the"
        " field cannot be protected: choose another cursor or order in the source, or drop the protection",
    )


def _misfit(rule: FieldRule, text: str) -> str:
    assert rule.type  # noqa: S101 - the caller passes casts only
    return (
        f"{describe_value(rule.field, text)}, and its column is to be {WORDS_OF_TYPES[rule.type]}"
    )


def _text_of(value: Any) -> str | None:
    """Return the exact text of a value; None for null and for a value that has no text."""
    if value is None:
        return None
    try:
        text = exact_text(value)
        text.encode()
    except (Unrepresentable, UnicodeError):
        return None
    return text


def _hidden() -> str:
    hidden: str = json.loads(HIDDEN)
    return hidden


def _parsed(record: LeftOutRecord) -> dict[str, Any] | None:
    if not record.complete:
        return None
    try:
        parsed = json.loads(record.record)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _last_record(page: SourceIteration) -> Mapping[str, Any]:
    if isinstance(page, FrameIteration):
        return page.frame.row(-1, named=True) if page.frame.height else {}
    rows = page.rows if isinstance(page, RowsIteration) else page.records
    last = getattr(rows[-1], "data", rows[-1]) if rows else {}
    return last if isinstance(last, Mapping) else {}


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)
