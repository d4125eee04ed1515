"""The rows of a window of the cursor field, which a backfill replaces."""

from __future__ import annotations

from collections.abc import Mapping

from apps.engine.destinations.duckdb.types import quote_name
from apps.engine.failures import ConfigurationError
from apps.engine.windows import CursorWindow

# Types whose values are compared as PostgreSQL compares them.
COMPARABLE_TYPES = frozenset(
    {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATE", "BIGINT", "INTEGER", "SMALLINT", "HUGEINT"}
)


def window_condition(types: Mapping[str, str], window: CursorWindow) -> tuple[str, list[str]]:
    """Return the condition for the rows of a window, and its parameters. `types` are those of the table's columns.

    Raises ConfigurationError if the table cannot compare the values.
    """
    name = next((each for each in types if each.lower() == window.field.lower()), "")
    type_name = types.get(name, "")
    if type_name not in COMPARABLE_TYPES:
        found = f"the type {type_name}" if type_name else "no such column"
        raise ConfigurationError(
            f"The table has {found} for the cursor field {window.field!r}, so the rows of a window cannot be replaced"
        )
    bounds = [("<", window.end)] + ([(">=", window.start)] if window.start is not None else [])
    conditions = [f"{quote_name(name)} {sign} CAST(? AS {type_name})" for sign, _ in bounds]
    return " AND ".join(conditions), [value for _, value in bounds]
