"""Five hundred tables arrive in one run."""

from __future__ import annotations

import time

import pytest

from tests.databases.comparing import require_equal_tables, require_foreign_keys
from tests.databases.moving import KINDS, Mover
from tests.databases.source_tables import SourceReader

TABLES = 500
CREATE = f"""
DO $$ BEGIN
  FOR n IN 1..{TABLES} LOOP
    EXECUTE format('CREATE TABLE many.t%s (id integer PRIMARY KEY, earlier integer %s, text text, amount numeric(10, 2))',
                   n, CASE WHEN n > 1 THEN format('REFERENCES many.t%s', n - 1) END);
    EXECUTE format('INSERT INTO many.t%s SELECT r, CASE WHEN r <= %s THEN r END, ''row '' || r, r / 4.0 FROM generate_series(1, %s) r',
                   n, (n + 20) %% 21, n %% 21);
  END LOOP;
END $$
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_five_hundred_tables_arrive_in_one_run(mover: Mover, kind: str) -> None:
    mover.source.execute(
        "DROP SCHEMA IF EXISTS many CASCADE",
        "CREATE SCHEMA many",
        CREATE.replace("%%", "%"),
        f"GRANT USAGE ON SCHEMA many TO {mover.source.config['user']}",
    )
    pipeline = mover.create(kind, "many.*")
    started_at = time.monotonic()
    run_id = mover.run_to_success(pipeline)
    print(f"{TABLES} tables to {kind}: {time.monotonic() - started_at:.1f} s")
    reader = SourceReader(mover.source.admin, ["many"])
    keys, arrived = reader.foreign_keys(), mover.arrived(pipeline, run_id)
    assert (len(arrived), len(keys)) == (TABLES, TABLES - 1)
    require_equal_tables(kind, reader.tables(arrays_as_json=False), arrived)
    require_foreign_keys(keys, arrived)
    moments = mover.world.client().get(f"/api/v1/runs/{run_id}/streams").json()["moments"]
    assert [moment["streams"] for moment in moments] == [TABLES]
