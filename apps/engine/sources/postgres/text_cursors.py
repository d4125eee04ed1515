"""Text and UUIDs as cursor fields, which are accepted if their values sort by time.

That is so for times by ISO 8601 of one form (`2024-01-02T03:04:05Z`), ULIDs, and UUIDs of version 6 or 7. The form is
taken from the values of the table. A value of another form, such as `N/A`, has no place in the order. Text is compared
byte by byte, because the order of a language may ignore punctuation.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from psycopg import sql

from apps.engine.failures import ConfigurationError
from apps.engine.postgres import Cursor
from apps.engine.sources.postgres.columns import PgColumn
from apps.engine.sources.postgres.tables import Relation

TEXT_TYPES = frozenset({"text", "varchar"})
TYPES_WITH_FORM = TEXT_TYPES | {"uuid"}
SAMPLE_ROWS = 1000
ISO_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)?)(Z|[+-]\d\d(?::?\d\d)?)?"
)
TIME_FORM = "^[0-9]{4}-"  # how the form of a time begins
ID_FORMS = (
    "^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
    "^[0-9a-f]{8}-[0-9a-f]{4}-[67][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
)


def with_order_by_bytes(column: PgColumn) -> PgColumn:
    return replace(column, collation="C") if column.base_type in TEXT_TYPES else column


def find_form(cursor: Cursor, table: Relation, column: PgColumn) -> str:
    """Return the form of most values, as a regular expression of PostgreSQL; empty if there are no values.

    Raises ConfigurationError if most values have no form that sorts by time.
    """
    query = sql.SQL("SELECT {}::text FROM {} WHERE {} IS NOT NULL LIMIT {}")
    rows = cursor.execute(
        query.format(column.sql, table.aliased_sql, column.sql, sql.Literal(SAMPLE_ROWS))
    ).fetchall()
    if not rows:
        return ""
    forms = Counter(form_of(text) for (text,) in rows)
    form, count = forms.most_common(1)[0]
    if not form or count <= len(rows) / 2:
        raise ConfigurationError(table.cursor_refusal(column))
    return form


def form_of(text: str) -> str:
    """Return the form of a value, or an empty string if values of its kind do not sort by time."""
    time = ISO_TIME.fullmatch(text)
    if time:
        digits = re.sub(
            r"\d+", lambda part: f"[0-9]{{{len(part[0])}}}", time[1].replace(".", r"\.")
        )
        return f"^{digits}{re.escape(time[2] or '')}$"
    return next((form for form in ID_FORMS if re.search(form, text)), "")
