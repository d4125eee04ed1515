"""The tokens that an org uses in a month, and their limit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.rows import tuple_row

from apps.agent.chat_models import failures
from apps.auth.models import new_id
from apps.live.events import Statement

WARNING_SHARE = 0.8
# Each model call needs these, so they are statements of their own. Row-level security applies to them too.
BUDGET = """
    SELECT coalesce(u.input_tokens + u.output_tokens, 0), m.id IS NOT NULL, m.monthly_tokens
    FROM (VALUES (%(org)s::uuid)) AS asked (org_id)
    LEFT JOIN agent_modelusage u ON u.org_id = asked.org_id AND u.month = %(month)s
    LEFT JOIN agent_modelsettings m ON m.org_id = asked.org_id
"""
ADD_USAGE = """
    INSERT INTO agent_modelusage AS stored (id, org_id, month, input_tokens, output_tokens)
    SELECT %(usage)s::uuid, %(org)s::uuid, %(month)s::date, %(input_tokens)s::bigint, %(output_tokens)s::bigint
    {source}
    ON CONFLICT (org_id, month) DO UPDATE SET
        input_tokens = stored.input_tokens + excluded.input_tokens,
        output_tokens = stored.output_tokens + excluded.output_tokens
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """The tokens of the current month. `limit` is None if there is no limit."""

    used: int
    limit: int | None

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.used >= self.limit

    @property
    def warning(self) -> str:
        """A sentence for the user from 80% on, else an empty text."""
        if self.limit is None or self.used < self.limit * WARNING_SHARE:
            return ""
        if self.is_used_up:
            return failures.BUDGET_USED_UP.message
        percent = self.used * 100 // self.limit
        return f"The organization has used {percent}% of its tokens of this month."


def current(org_id: UUID) -> Budget:
    """Return the budget of this month. Call it inside the org's scope."""
    with connection.cursor() as cursor:
        cursor.execute(BUDGET, {"org": org_id, "month": _this_month()})
        return _budget(cursor.fetchone())


async def read(connection_of_org: psycopg.AsyncConnection[Any], org_id: UUID) -> Budget:
    """Return the budget of this month. The connection must have the org's scope."""
    async with connection_of_org.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(BUDGET, {"org": org_id, "month": _this_month()})
        return _budget(await cursor.fetchone())


def _budget(row: Any) -> Budget:
    used, has_model, limit = row
    return Budget(int(used), limit if has_model else _platform_limit())


def record(org_id: UUID, *, input_tokens: int, output_tokens: int) -> None:
    """Add tokens to this month. Call it inside the org's scope."""
    statement = add_usage_statement(org_id, input_tokens, output_tokens)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, statement.values)


def add_usage_statement(
    org_id: UUID, input_tokens: int, output_tokens: int, *, source: str = ""
) -> Statement:
    """Return the statement that adds tokens to this month.

    With a FROM clause as `source`, nothing is added if the clause finds no row.
    """
    values = {
        "usage": new_id(),
        "org": org_id,
        "month": _this_month(),
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
    return Statement(ADD_USAGE.format(source=source), values)


def _platform_limit() -> int | None:
    return settings.AGENT_MODEL_MONTHLY_TOKENS or None if settings.AGENT_MODEL else None


def _this_month() -> date:
    return datetime.now(UTC).date().replace(day=1)
