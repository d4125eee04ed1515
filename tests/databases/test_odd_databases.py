"""Streams that cannot be read or written do not take anything from the others of their database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.databases.comparing import require_equal_tables, require_foreign_keys
from tests.databases.moving import KINDS, PIPELINES, RUNS, Mover
from tests.databases.source_tables import SourceReader, load

GOOD = """
CREATE TABLE odd.parents (id integer PRIMARY KEY, text text);
CREATE TABLE odd.children (id integer PRIMARY KEY, parent_id integer REFERENCES odd.parents);
INSERT INTO odd.parents SELECT n, 'row ' || n FROM generate_series(1, 100) n;
INSERT INTO odd.children SELECT n, n FROM generate_series(1, 100) n;
CREATE TABLE odd.private (id integer PRIMARY KEY);
REVOKE ALL ON odd.private FROM source_reader;
"""
# What makes the relation `odd.broken`, which the user sees and cannot read.
BROKEN = {
    "a materialized view without data": "CREATE MATERIALIZED VIEW odd.broken AS SELECT 1 AS id WITH NO DATA",
    "a view that divides by zero": "CREATE VIEW odd.broken AS SELECT 1 / (id - id) AS id FROM odd.parents",
    "a view with a constant division by zero": "CREATE VIEW odd.broken AS SELECT 1 / 0 AS id",
    "a view of an unreadable table": "CREATE VIEW odd.broken WITH (security_invoker = true) AS SELECT * FROM odd.private",
    "a view whose owner may not read its table": "CREATE VIEW odd.broken AS SELECT * FROM odd.private;"
    " ALTER VIEW odd.broken OWNER TO odd_owner",
    "a view of a forbidden function": "CREATE FUNCTION odd.forbidden() RETURNS integer LANGUAGE sql AS 'SELECT 1';"
    " REVOKE ALL ON FUNCTION odd.forbidden() FROM public; CREATE VIEW odd.broken WITH (security_invoker = true) AS SELECT odd.forbidden() AS id",
    "a view of a function that fails": "CREATE FUNCTION odd.failing() RETURNS integer LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'no'; END $$; CREATE VIEW odd.broken AS SELECT odd.failing() AS id",
    "a view of a missing function": "SET check_function_bodies = off; CREATE FUNCTION odd.calling() RETURNS integer LANGUAGE sql AS"
    " 'SELECT odd.missing()'; CREATE VIEW odd.broken AS SELECT odd.calling() AS id",
    "a table whose row security fails": "CREATE TABLE odd.broken (id integer PRIMARY KEY); INSERT INTO odd.broken VALUES (1);"
    " ALTER TABLE odd.broken ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON odd.broken USING (1 / (id - id) > 0)",
}


def create_good_tables(mover: Mover) -> None:
    mover.source.execute(
        "DROP SCHEMA IF EXISTS odd CASCADE; CREATE SCHEMA odd",
        "DROP ROLE IF EXISTS odd_owner; CREATE ROLE odd_owner; GRANT USAGE ON SCHEMA odd TO odd_owner",
        f"GRANT USAGE ON SCHEMA odd TO {mover.source.config['user']}",
        GOOD,
    )


def moments_of(mover: Mover, run_id: Any) -> list[tuple[bool, int]]:
    answer = mover.world.client("viewer").get(f"{RUNS}/{run_id}/streams").json()
    return [(moment["at"] is not None, moment["streams"]) for moment in answer["moments"]]


@pytest.mark.sample(9)
@pytest.mark.parametrize("broken", BROKEN)
def test_a_relation_that_cannot_be_read_fails_alone_and_the_others_share_their_moment(
    mover: Mover, broken: str
) -> None:
    create_good_tables(mover)
    mover.source.execute(BROKEN[broken])
    pipeline = mover.create("postgres", "odd.*")
    run_id = mover.run(pipeline)
    assert set(mover.failures(run_id)) == {"odd.broken"}
    arrived = mover.arrived(pipeline, run_id)
    assert {name: len(table.rows) for name, table in arrived.items()} == {
        "odd.parents": 100,
        "odd.children": 100,
    }
    assert moments_of(mover, run_id) == [(True, 2)], mover.log(run_id)


@pytest.mark.long
def test_many_views_that_cannot_be_locked_share_the_moment_too(mover: Mover) -> None:
    """The owner of the views may read a column of the table, and not lock the table."""
    create_good_tables(mover)
    mover.source.execute(
        "GRANT SELECT (id) ON odd.private TO odd_owner",
        *(
            f"CREATE VIEW odd.view_{n} AS SELECT id FROM odd.private; ALTER VIEW odd.view_{n} OWNER TO odd_owner;"
            f" GRANT SELECT ON odd.view_{n} TO source_reader"
            for n in range(6)
        ),
    )
    pipeline = mover.create("postgres", "odd.*")
    run_id = mover.run_to_success(pipeline)
    assert moments_of(mover, run_id) == [(True, 8)], mover.log(run_id)


NAMES = """
CREATE TABLE odd.case_of_columns (id integer PRIMARY KEY, "ID" text, "Id" text);
INSERT INTO odd.case_of_columns VALUES (1, 'upper', 'mixed');
CREATE TABLE odd."Children" (id integer PRIMARY KEY);
CREATE TABLE odd."日本語のとても長い名前の表です" (id integer PRIMARY KEY, "列" text);
INSERT INTO odd."日本語のとても長い名前の表です" VALUES (1, '値');
CREATE TABLE odd."{quotes}.{quotes}" (id integer PRIMARY KEY);
INSERT INTO odd."{quotes}.{quotes}" VALUES (7);
CREATE TABLE odd."a/b c" (id integer PRIMARY KEY);
CREATE TABLE odd."../../up" (id integer PRIMARY KEY);
CREATE TABLE odd."*" (id integer PRIMARY KEY);
CREATE TABLE odd."1" (id integer PRIMARY KEY);
CREATE TABLE odd._drover_table (id integer PRIMARY KEY, _drover_column text);
CREATE TABLE odd.without_columns ();
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_odd_names_arrive_or_are_red_with_the_reason(mover: Mover, kind: str) -> None:
    create_good_tables(mover)
    mover.source.execute(NAMES.replace("{quotes}", '""' * 30))
    pipeline = mover.create(kind, "odd.*")
    run_id = mover.run(pipeline)
    failures = mover.failures(run_id)
    # DuckDB and files do not tell odd.Children and odd.children apart.
    assert set(failures) == (set() if kind == "postgres" else {"odd.children"})
    assert all("would both write the table" in message for message in failures.values())
    tables = SourceReader(mover.source.admin, ["odd"]).tables(arrays_as_json=False)
    for name in {*failures, "odd.private", "odd.without_columns"}:
        del tables[name]
    arrived = mover.arrived(pipeline, run_id)
    columns = arrived["odd.case_of_columns"]
    if kind == "duckdb":
        assert list(columns.types) == ["id", "ID_2", "Id_3"]
        assert columns.rows == [(1, "upper", "mixed")]
        del arrived["odd.case_of_columns"], tables["odd.case_of_columns"]
    require_equal_tables(kind, tables, arrived)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
def test_a_database_is_merged_as_far_as_its_tables_allow(mover: Mover, kind: str) -> None:
    """The defaults of the patterns are incremental; tables without the cursor field or a key are replaced."""
    load(mover.source, "rental")
    defaults = {
        "sync_mode": "incremental",
        "cursor_field": "changed_at",
        "write_mode": "merge",
    }
    pipeline = mover.create(kind, "rental.*", defaults=defaults)
    mover.run_to_success(pipeline)
    mover.source.execute(
        "UPDATE rental.actors SET last_name = 'Changed', changed_at = now() - interval '1 hour' WHERE last_name = 'Last 3'",
        "INSERT INTO rental.countries (name, changed_at) VALUES ('New', now() - interval '1 hour')",
        "INSERT INTO rental.cities (name, country_id) VALUES ('New', 11)",
        "DELETE FROM rental.film_actors WHERE role LIKE '%7'; DELETE FROM rental.visits WHERE note = '1'",
        "REFRESH MATERIALIZED VIEW rental.sales_by_store",
    )
    run_id = mover.run_to_success(pipeline)
    reader = SourceReader(mover.source.admin, ["rental"])
    arrived = mover.arrived(pipeline, run_id)
    require_equal_tables(kind, reader.tables(arrays_as_json=kind != "postgres"), arrived)
    require_foreign_keys(reader.foreign_keys(), arrived)
    streams = mover.streams(run_id)
    assert streams["rental.countries"]["read"] == 1, "the countries were not read incrementally"


def test_a_name_of_more_than_200_characters_has_to_be_excluded(mover: Mover) -> None:
    """Quoted, a name of PostgreSQL can have 127 characters, and its schema too."""
    create_good_tables(mover)
    name = '""' * 62 + "."
    mover.source.execute(
        f'DROP SCHEMA IF EXISTS "{name}" CASCADE; CREATE SCHEMA "{name}"; CREATE TABLE "{name}"."{name}" (id integer)',
        f'GRANT USAGE ON SCHEMA "{name}" TO source_reader',
    )
    pipeline = mover.create("postgres", "odd.*", '"*')
    state = mover.state(mover.run(pipeline))
    assert (state["status"], state["failure"]["class"]) == ("failed", "configuration")
    assert (
        "a stream whose name has more than 200 characters: exclude" in state["failure"]["message"]
    )
    config = {"patterns": {"match": ["odd.*", '"*', '!"*']}}
    url = f"{PIPELINES}/{pipeline.pk}"
    assert mover.world.client().patch(url, {"config": config}).status_code == 200
    arrived = mover.arrived(pipeline, mover.run_to_success(pipeline))
    assert set(arrived) == {"odd.parents", "odd.children"}
    mover.source.execute(f'DROP SCHEMA "{name}" CASCADE')
