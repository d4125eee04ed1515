"""Rejected rows of PostgreSQL that are sent again have the values and the native types of the rows before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import psycopg
import pytest

from apps.engine.contract import KeptRecords, PublishRules, Succeeded
from apps.engine.field_rules import FieldRule, FieldRules
from local.database.postgres import EmbeddedPostgres
from tests.corpora.test_accounting import read_kept
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings
from tests.engine.sources.conftest import SourceDatabase

VALUES: dict[str, tuple[str, str]] = {
    "small": ("smallint", "7"),
    "price": ("numeric(10,2)", "1.50"),
    "exact": ("numeric", "12345678901234567890.123456789"),
    "ratio": ("real", "0.1"),
    "wide": ("double precision", "'NaN'"),
    "code": ("uuid", "'6ecd8c99-4036-403d-bf84-cf8400f67836'"),
    "body": ("jsonb", "'{\"a\": [1, 2.50]}'"),
    "tags": ("text[]", "'{a,NULL}'"),
    "raw": ("bytea", "'\\x00ff'"),
    "day": ("date", "'2024-02-29'"),
    "hour": ("time", "'10:00:00.5'"),
    "moment": ("timestamptz", "'2024-02-29 10:00:00.123456+02'"),
    "local": ("timestamp", "'2024-02-29 10:00:00'"),
    "span": ("interval", "'1 day 02:00:00'"),
    "flag": ("boolean", "true"),
    "label": ("varchar(20)", "'007'"),
    "nothing": ("integer", "NULL"),
}
AS_INTEGER = FieldRules((FieldRule("n", type="integer"),))
AS_TEXT = FieldRules((FieldRule("n", name="n_text"),))


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_rows_that_are_sent_again_have_the_same_types_and_values(
    make_rehearsal: Callable[..., Rehearsal],
    database: SourceDatabase,
    engine_postgres: EmbeddedPostgres,
    kind: str,
) -> None:
    columns = ", ".join(f"{name} {kind_of}" for name, (kind_of, _) in VALUES.items())
    values = ", ".join(value for _, value in VALUES.values())
    database.execute(
        "DROP TABLE IF EXISTS public.typed",
        f"CREATE TABLE public.typed (id integer PRIMARY KEY, n text, {columns})",
        f"INSERT INTO public.typed VALUES (1, '1', {values}), (2, 'x', {values})",
    )
    run = make_rehearsal(
        database.config,
        postgres_settings(engine_postgres) if kind == "postgres" else {},
        source_kind="postgres",
        destination_kind=kind,
        stream="public.typed",
        write_mode="append",
    )
    run.spec = replace(
        run.spec,
        destination=replace(run.spec.destination, table="typed"),
        allow_private_networks=True,
        rules=PublishRules(max_rejected_share=1.0),
        fields=AS_INTEGER,
    )
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.written, outcome.rejected) == (1, 1)
    before = read_typed(run, engine_postgres)

    assert run.spec.left_out is not None
    kept = KeptRecords(run.spec.run_id, run.spec.left_out, 1)
    run.start_new_run()
    run.spec = replace(run.spec, replay=kept, fields=AS_TEXT)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written) == (1, 1), read_kept(run, "rejected")
    after = read_typed(run, engine_postgres)
    first, second = after[1]
    assert first == second == before[1][0]
    assert {name: type_ for name, type_ in after[0] if name != "n_text"} == dict(before[0])


def read_typed(run: Rehearsal, server: EmbeddedPostgres) -> tuple[list[Any], list[Any]]:
    """Return the columns with their types, and the values of the rows as text."""
    names = ", ".join(f"{name}::text" for name in VALUES)
    rows = f"SELECT {names} FROM {{}}typed ORDER BY id"
    types = "SELECT column_name, {} FROM information_schema.columns WHERE table_name = 'typed' AND table_schema = '{}'"
    if run.spec.destination.kind == "postgres":
        with psycopg.connect(server.url()) as connection:
            shown = types.format("udt_name || coalesce(numeric_scale::text, '')", "arrivals")
            found = connection.execute(shown.encode()).fetchall()
            return found, connection.execute(rows.format("arrivals.").encode()).fetchall()
    with duckdb.connect(str(run.folder / run.outputs[0].key)) as database:
        found = database.execute(types.format("data_type", "main")).fetchall()
        return found, database.execute(rows.format("")).fetchall()
