"""Conversions to the column types of tables that a person has created, and the values that they would change.

PostgreSQL rounds numbers and times to the digits of a type, cuts texts for `name` and `"char"`, and drops the time or the
zone of a text for `date` or `timestamp`, all without an error. Such values are refused. Texts that only have several
spellings, such as those of `uuid` or `jsonb`, are accepted.
"""

from __future__ import annotations

from psycopg import sql

from apps.engine.destinations.postgres.tables import TableColumn
from apps.engine.destinations.postgres.types import COLUMN_TYPES, widen_expression
from apps.engine.frames.columns import Column, ColumnType

NUMBER_TYPES = frozenset(
    {"smallint", "integer", "bigint", "numeric", "real", "double precision", "money"}
)
NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL, ColumnType.STRING})
CUTTING_TYPES = frozenset({"name", '"char"'})  # which cut texts that are too long
DATE_TYPES = frozenset({"daterange", "datemultirange", "date[]"})  # whose texts may have a time
# Types, also as arrays, whose texts may have a time without a zone, which would become one in the zone of the session,
# or a zone that would be dropped.
ZONED_TYPES = frozenset(
    {"time with time zone", "timestamp with time zone", "tstzrange", "tstzmultirange"}
)
LOCAL_TYPES = frozenset(
    {"time without time zone", "timestamp without time zone", "tsrange", "tsmultirange"}
)
# Types whose texts may have numbers that a float rounds.
FLOAT_TYPES = frozenset(
    {"real[]", "double precision[]", "point", "lseg", "box", "path", "polygon", "circle"}
)
_CLOCK = "[0-9]:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?"
_CLOCK_WITHOUT_ZONE = f"{_CLOCK}(?![0-9:.]| ?[A-Za-z+]| ?-[0-9])"
_DATE_WITHOUT_CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9]|[T ][0-9]+:)"
_CLOCK_WITH_ZONE = f"{_CLOCK}( ?[+-][0-9]| ?(?!(BC|AD|AM|PM)\\M)[A-Za-z])"
_DATE_AND_CLOCK = "[0-9]-[0-9]+[T ][0-9]+:"
_MORE_THAN_MICROSECONDS = "[.][0-9]{6}[0-9]*[1-9]"
_LEAP_SECOND = ":60"
# `bit` and `character` mean a length of 1 in SQL.
UNLIMITED_TYPES = {"bit": '"bit"', "character": "bpchar"}


def convert_to_column(
    value: sql.Composable, staged: ColumnType, column: TableColumn
) -> sql.Composable:
    """Return SQL that converts a staged value to a type that Drover never chooses for a column.

    The assignment checks the length, and the rules of a domain; a cast would cut the text.
    """
    if column.category == "S":
        return widen_expression(value, staged, ColumnType.STRING)
    return _cast(value, staged, _unlimited_type(column))


def changing_condition(
    value: sql.Composable, staged: ColumnType, column: TableColumn
) -> sql.Composable | None:
    """Return a condition that is true if the column would change the staged value; None if it changes none."""
    base = column.base_without_length
    if base in NUMBER_TYPES and staged in NUMBERS:
        return _number_condition(value, staged, column)
    text = widen_expression(value, staged, ColumnType.STRING)
    if base in CUTTING_TYPES:
        return sql.SQL("{0} IS DISTINCT FROM {0}::{1}::text").format(text, sql.SQL(base))
    conditions: list[sql.Composable] = []
    if base in DATE_TYPES:
        conditions.append(sql.SQL("{} LIKE '%:%'").format(text))
    conditions += [
        sql.SQL("{} ~ {}").format(text, sql.Literal(pattern)) for pattern in _refused_texts(base)
    ]
    if base in FLOAT_TYPES:
        conditions.append(_float_condition(value, staged, column))
    own_type = COLUMN_TYPES.get(base)
    if column.is_domain and own_type not in {None, ColumnType.STRING}:
        conditions.append(_respelling_condition(value, staged, own_type))
    if column.base_type != base and column.category != "S" and not base.startswith("bit"):
        conditions.append(_rounding_condition(value, staged, column))
    return sql.SQL(" OR ").join(conditions) if conditions else None


def _number_condition(
    value: sql.Composable, staged: ColumnType, column: TableColumn
) -> sql.Composable:
    base = column.base_type
    stored = sql.SQL("{}::{}").format(_cast(value, staged, _unlimited_type(column)), sql.SQL(base))
    stored = sql.SQL("{}::numeric" if base == "money" else "{}::text::numeric").format(stored)
    number = sql.SQL("{}::text::numeric").format(value)
    if base == "money" and staged is ColumnType.STRING:
        return _money_condition(value)
    return sql.SQL("{} IS DISTINCT FROM {}").format(number, stored)


def _money_condition(text: sql.Composable) -> sql.Composable:
    """Return a condition for amounts that are rounded. Their texts may have a sign of the currency and separators."""
    digits = sql.SQL("rtrim(ltrim(regexp_replace({}, '[^0-9]', '', 'g'), '0'), '0')")
    stored = sql.SQL("{}::money::text").format(text)
    return sql.SQL("{} IS DISTINCT FROM {}").format(digits.format(text), digits.format(stored))


def _refused_texts(base: str) -> list[str]:
    """Return patterns of the texts that a type with times, which is none of Drover's own, would change."""
    element = base.removesuffix("[]")
    patterns: list[str] = []
    if base in COLUMN_TYPES or element not in ZONED_TYPES | LOCAL_TYPES | {"interval"}:
        return patterns
    if element in ZONED_TYPES:
        patterns += [_CLOCK_WITHOUT_ZONE, _DATE_WITHOUT_CLOCK]
    if element in LOCAL_TYPES:
        patterns.append(_CLOCK_WITH_ZONE)
    if element.startswith("time "):
        patterns.append(_DATE_AND_CLOCK)
    return [*patterns, _MORE_THAN_MICROSECONDS, _LEAP_SECOND]


def _float_condition(
    value: sql.Composable, staged: ColumnType, column: TableColumn
) -> sql.Composable:
    """Return a condition for texts that have other numbers when they are stored. A box may have them in another order."""
    numbers = sql.SQL(
        "(SELECT array_agg(n[1]::numeric ORDER BY n[1]::numeric) FROM"
        " regexp_matches({}::text, '(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)', 'g') AS n)"
    )
    stored = _cast(value, staged, _unlimited_type(column))
    return sql.SQL("{} IS DISTINCT FROM {}").format(numbers.format(value), numbers.format(stored))


def _respelling_condition(
    value: sql.Composable, staged: ColumnType, own_type: ColumnType | None
) -> sql.Composable:
    """Return a condition for values that have another text in a domain of one of Drover's own types."""
    assert own_type is not None  # noqa: S101 - the caller has looked
    if Column(own_type).widen(Column(staged)).type is own_type:
        return sql.SQL("false")
    stored = widen_expression(
        _cast(value, staged, type_name_of(own_type)), own_type, ColumnType.STRING
    )
    text = widen_expression(value, staged, ColumnType.STRING)
    return sql.SQL("{} IS DISTINCT FROM {}").format(text, stored)


def _rounding_condition(
    value: sql.Composable, staged: ColumnType, column: TableColumn
) -> sql.Composable:
    unlimited = _cast(value, staged, _unlimited_type(column))
    condition = sql.SQL("{0}::{1} IS DISTINCT FROM {0}").format(
        unlimited, sql.SQL(column.base_type)
    )
    if staged is not ColumnType.STRING:
        return condition
    # A leap second would become the next minute.
    return sql.SQL("{} OR {} LIKE '%:60%'").format(condition, value)


def _cast(value: sql.Composable, staged: ColumnType, type_name: str) -> sql.Composable:
    """Return a cast that keeps all digits: a cast of a float to `numeric` would keep 15."""
    if staged is ColumnType.NUMBER:
        value = sql.SQL("{}::text").format(value)
    return sql.SQL("{}::{}").format(value, sql.SQL(type_name))


def type_name_of(column_type: ColumnType) -> str:
    return next(name for name, each in COLUMN_TYPES.items() if each is column_type)


def _unlimited_type(column: TableColumn) -> str:
    name, brackets, _ = column.base_without_length.partition("[")
    return UNLIMITED_TYPES.get(name, name) + ("[]" if brackets else "")
