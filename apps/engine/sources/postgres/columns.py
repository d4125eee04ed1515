"""PostgreSQL's types: how a column is selected as text, and how the text becomes a typed series.

Values are transferred in the text format of COPY, because that is several times faster than building Python objects. A row
is a line: tabs, line breaks and backslashes in values are escaped. If a value does not fit its polars type (an infinite
timestamp, NaN in a numeric, a year before 1), the column becomes exact text in that page; no value becomes null. The values
that do fit are then spelled as `as_text` spells them in the other pages, so one value has one spelling in the whole column.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import polars as pl
from polars import selectors as cs
from psycopg import sql
from psycopg.sql import Composable

from apps.engine.contract import FieldInfo
from apps.engine.failures import SourceError
from apps.engine.frames.columns import DECIMAL_DIGITS, FieldType, as_text, dtype_of_native

Converter = Callable[[pl.Series], pl.Series]

INTEGER_TYPES = frozenset({"int2", "int4", "int8", "oid"})
ROW_ALIAS = "row"  # the table's alias in queries
FLOAT_TYPES = frozenset({"float4", "float8"})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How the text format of COPY escapes characters
ESCAPES = {
    r"\b": "\b",
    r"\f": "\f",
    r"\n": "\n",
    r"\r": "\r",
    r"\t": "\t",
    r"\v": "\v",
    "\\\\": "\\",
}
TIMESTAMP_TEXT = (
    r"^(?<date>\d+-\d\d-\d\d) (?<time>\d\d:\d\d:\d\d)(?:\.(?<fraction>\d+))?(?<era> BC)?$"
)
# In order of preference.
CURSOR_TYPES = ("timestamptz", "timestamp", "date", "int8", "int4", "int2")
FIELD_TYPES: dict[str, FieldType] = {
    **dict.fromkeys(INTEGER_TYPES, "integer"),
    **dict.fromkeys(FLOAT_TYPES, "number"),
    "numeric": "number",
    "bool": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "json": "json",
    "jsonb": "json",
}


class UnreadableRows(SourceError):
    """The database has values that cannot be read. A retry of the same rows cannot help."""

    retryable = False


@dataclass(frozen=True, slots=True)
class PgColumn:
    """A column as PostgreSQL's catalogue describes it.

    `number` is its attribute number. `type` is spelled as in SQL. `base_type` is the type below any domains. `typtype`
    is the letter in `pg_type`, or `A` for arrays. `scale` is at least as large as the scale of every value that was
    found, if the declaration does not limit it (see `numerics.py`). `postgres_type` is the built-in type without domains,
    or empty. `native` is the native type with which the column arrives (see `native.py`).
    """

    number: int
    name: str
    type: str
    base_type: str
    typtype: str
    nullable: bool
    precision: int | None = None
    scale: int | None = None
    postgres_type: str = ""
    item_type: str = ""  # of an array; `enum` for labels
    comment: str = ""
    collation: str = ""  # by which it is compared, if not its own
    native: str = ""
    is_postgres_text: bool = False  # whether values are the texts of PostgreSQL's output function

    @property
    def field_info(self) -> FieldInfo:
        return FieldInfo(self.name, self.field_type, self.nullable)

    @property
    def field_type(self) -> FieldType:
        return "json" if self.typtype in {"A", "c"} else FIELD_TYPES.get(self.base_type, "string")

    @property
    def sql(self) -> Composable:
        """Return the qualified column.

        In ORDER BY a bare name would refer to the selected text with the same name.
        """
        name = sql.Identifier(ROW_ALIAS, self.name)
        if not self.collation:
            return name
        return sql.SQL("{} COLLATE {}").format(name, sql.Identifier(self.collation))

    @property
    def expression(self) -> Composable:
        """Return the expression that selects the column.

        A type without an expression of its own is written by its output function, as in any COPY. A cast to text
        would remove the padding of char(n) and add /32 to addresses.
        """
        name = self.sql
        if self.is_postgres_text:
            return name
        if self.typtype in {"A", "c"}:
            return sql.SQL("to_json({})::text").format(name)
        if self.base_type == "bytea":
            return sql.SQL("translate(encode({}, 'base64'), E'\\n', '')").format(name)
        if self.base_type == "timestamptz":
            return sql.SQL("{} AT TIME ZONE 'UTC'").format(name)
        return name

    @property
    def dtype(self) -> pl.DataType:
        """Return the type with which polars can always read the field: text, except for plain numbers."""
        if self.is_postgres_text or self.native in {"int16", "int32", "float32"}:
            return dtype_of_native(self.native)
        if self.base_type in INTEGER_TYPES:
            return pl.Int64()
        return pl.Float64() if self.base_type in FLOAT_TYPES else pl.String()

    @property
    def parsed_dtype(self) -> pl.DataType:
        """Return the type with which polars reads the field if all values fit. It refuses values that do not fit.

        It reads decimals and dates faster than it converts texts to them, but not timestamps.
        """
        if not self.is_postgres_text and self.typtype not in {"A", "c"}:
            if self.base_type == "numeric" and self.is_decimal:
                return pl.Decimal(self.precision, self.scale or 0)
            if self.base_type == "date":
                return pl.Date()
        return self.dtype

    @property
    def is_unlimited_numeric(self) -> bool:
        """Whether the declaration allows values that no decimal can store."""
        return self.base_type == "numeric" and self.typtype == "b" and not self.is_decimal

    @property
    def is_decimal(self) -> bool:
        scale, precision = self.scale, self.precision
        return scale is not None and precision is not None and 0 <= scale <= precision <= 38

    def convert(self, texts: pl.Series) -> pl.Series:
        """Convert the texts to the column's own type, or return them unchanged if a value does not fit."""
        if self.is_postgres_text or texts.dtype != pl.String:
            return texts
        if self.native.startswith("list("):
            return _to_lists(texts, dtype_of_native(self.native))
        if self.native == "binary":
            return texts.str.decode("base64")
        converter = None if self.typtype in {"A", "c"} else CONVERTERS.get(self.base_type)
        if converter is None:
            return texts
        values = self._to_decimals(texts) if self.base_type == "numeric" else converter(texts)
        if values.null_count() == texts.null_count():
            return values
        return _spell(texts, values) if values.dtype.is_temporal() else texts

    def _to_decimals(self, texts: pl.Series) -> pl.Series:
        if self.is_decimal:
            return texts.cast(pl.Decimal(self.precision, self.scale or 0), strict=False)
        longest = texts.str.extract(r"\.(\d+)$").str.len_bytes().max()
        scale = max(longest if isinstance(longest, int) else 0, self.scale or 0)
        if scale > DECIMAL_DIGITS:
            return texts
        return texts.cast(pl.Decimal(DECIMAL_DIGITS, scale), strict=False)


def _to_lists(texts: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Return lists for texts of JSON, or the texts if one of them has a value that the items cannot have.

    These are lists of lists, and floats such as NaN, which are texts in JSON.
    """
    lists = texts
    if dtype == pl.List(pl.Float64()):  # -0 would be read as the integer 0.
        for end in (",", "]"):
            lists = lists.str.replace_all(f"-0{end}", f"-0.0{end}", literal=True)
    try:
        return lists.str.json_decode(dtype)
    except pl.exceptions.PolarsError:
        return texts


def _spell(texts: pl.Series, values: pl.Series) -> pl.Series:
    """Return the texts of a column of times in which some values fit no polars type.

    The other values are spelled as in pages in which all values fit. So are the rest, as far as they have a time:
    `20000-01-01 00:00:00` becomes `20000-01-01T00:00:00.000000`, and `infinity` stays.
    """
    others = texts
    if isinstance(values.dtype, pl.Datetime):
        zone = "+00:00" if values.dtype.time_zone else ""
        parts = texts.str.extract_groups(TIMESTAMP_TEXT).struct
        fractions = parts.field("fraction").fill_null("").str.pad_end(6, "0")
        times = parts.field("date") + "T" + parts.field("time") + "." + fractions + zone
        others = (times + parts.field("era").fill_null("")).fill_null(texts)
    return as_text(values).zip_with(values.is_not_null(), others)


def _to_timestamps(texts: pl.Series) -> pl.Series:
    return texts.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)


CONVERTERS: dict[str, Converter] = {
    "numeric": lambda texts: texts,  # `convert` calls `_to_decimals` instead
    "bool": lambda texts: texts == "t",
    "date": lambda texts: texts.str.to_date("%Y-%m-%d", strict=False),
    "timestamp": _to_timestamps,
    "timestamptz": lambda texts: _to_timestamps(texts).dt.replace_time_zone("UTC"),
    "time": lambda texts: texts.str.to_time("%H:%M:%S%.f", strict=False),
}


@dataclass(frozen=True, slots=True)
class DecodedRows:
    """Decoded rows, and the values of the columns by which pages are ordered."""

    frame: pl.DataFrame
    order_values: pl.DataFrame

    def order_texts(self) -> pl.DataFrame:
        """Return the exact texts of the columns by which pages are ordered."""
        return self.order_values.cast(pl.String)


def order_text_columns(order: Sequence[PgColumn]) -> list[PgColumn]:
    """Return the order columns that are also selected as texts: all but integers, which are exact already."""
    return [column for column in order if column.base_type not in INTEGER_TYPES]


def decode_rows(
    body: bytes, columns: Sequence[PgColumn], order: Sequence[PgColumn], unfitting: set[str]
) -> DecodedRows:
    """Decode COPY's text format: the columns, then the `order_text_columns`. Raises UnreadableRows for invalid text.

    The names of columns with values that do not fit their type are added to `unfitting`. Pages are read faster if they are known.
    """
    text_columns = order_text_columns(order)
    names = [str(position) for position in range(len(columns) + len(text_columns))]
    fields = _read_fields(body, names, columns, unfitting)
    series = [
        column.convert(fields[name]).alias(column.name)
        for name, column in zip(names, columns, strict=False)
    ]
    unfitting.update(
        column.name
        for values, column in zip(series, columns, strict=True)
        if values.dtype == pl.String and column.parsed_dtype != pl.String
    )
    # An order column that is also selected as text is there twice, at last as text.
    by_column = {
        column.name: fields[name]
        for name, column in zip(names, [*columns, *text_columns], strict=True)
    }
    order_values = [
        by_column[column.name].alias(str(position)) for position, column in enumerate(order)
    ]
    return DecodedRows(pl.DataFrame(series), pl.DataFrame(order_values))


def _read_fields(
    body: bytes, names: Sequence[str], columns: Sequence[PgColumn], unfitting: set[str]
) -> pl.DataFrame:
    """Return the fields by name. Those after the columns are texts."""
    schema: dict[str, pl.DataType] = {name: pl.String() for name in names}
    plain = {name: column.dtype for name, column in zip(names, columns, strict=False)}
    parsed = {
        name: column.dtype if column.name in unfitting else column.parsed_dtype
        for name, column in zip(names, columns, strict=False)
    }
    if parsed != plain:
        with contextlib.suppress(UnreadableRows):
            return _read_lines(body, schema | parsed)
    return _read_lines(body, schema | plain)


def _read_lines(body: bytes, schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    if not body:
        return pl.DataFrame(schema=schema)
    if body.startswith(BYTE_ORDER_MARK):  # polars removes one
        body = BYTE_ORDER_MARK + body
    try:
        frame = pl.read_csv(
            BytesIO(body),
            has_header=False,
            schema=schema,
            new_columns=list(schema),
            separator="\t",
            quote_char=None,
            null_values=r"\N",
            empty_string_is_null=False,
            raise_if_empty=False,  # The check would copy the rows.
        )
    except pl.exceptions.PolarsError as error:
        line = str(error).splitlines()[0][:300]
        raise UnreadableRows("the rows are not readable as UTF-8 text", evidence=(line,)) from error
    return _unescape(frame) if b"\\" in body else frame


def _unescape(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        texts.str.replace_many(ESCAPES)
        for texts in frame.select(cs.string()).iter_columns()
        if texts.str.contains("\\", literal=True).any()
    )
