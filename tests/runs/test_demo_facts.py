"""The demo compares tables of any database: equal tables match, and a changed value is detected."""

import math
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.runs.demo import facts
from tests import database

ROWS = [
    (1, 1.5, "a", datetime(2013, 1, 1, tzinfo=UTC), True),
    (None, None, "ünï", None, None),
    (3, -2.25, None, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), False),
]
COLUMN_NAMES = ["number", "double", "word", "moment", "flag"]


def test_a_table_and_a_data_frame_with_the_same_rows_match(db: None) -> None:
    url = database.url_of(database.process_database_name())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS public.demo_facts")
        connection.execute(
            "CREATE TABLE public.demo_facts (number int, double double precision, word text,"
            " moment timestamptz, flag boolean)"
        )
        try:
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO public.demo_facts VALUES (%s, %s, %s, %s, %s)", ROWS
                )
            table_facts = facts.read_table_facts(url, "demo_facts")
        finally:
            connection.execute("DROP TABLE public.demo_facts")
    frame_facts = facts.compute_frame_facts(pl.DataFrame(ROWS, schema=COLUMN_NAMES, orient="row"))
    assert table_facts.rows == 3
    assert table_facts.differences(frame_facts) == []
    assert frame_facts.differences(table_facts) == []


numbers = st.lists(st.none() | st.integers(min_value=-(2**40), max_value=2**40), min_size=1)


@given(numbers, st.data())
def test_one_changed_number_is_detected(values: list[int | None], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    changed_values = list(values)
    changed_values[index] = (values[index] or 0) + 2**40
    before = facts.compute_frame_facts(pl.DataFrame({"n": values}, schema={"n": pl.Int64}))
    after = facts.compute_frame_facts(pl.DataFrame({"n": changed_values}, schema={"n": pl.Int64}))
    assert len(before.differences(after)) == 1


@pytest.mark.parametrize(
    ("destination", "sentence"),
    [
        (pl.DataFrame({"n": [1, 2], "x": [1, 1]}), "3 rows in the source, 2 in the destination"),
        (pl.DataFrame({"x": [1, 2, 3]}), "n is missing"),
        (pl.DataFrame({"n": [1, 2, None]}), "n: 3 values adding up to 6"),
    ],
)
def test_differences_are_listed(destination: pl.DataFrame, sentence: str) -> None:
    source = facts.compute_frame_facts(pl.DataFrame({"n": [1, 2, 3]}))
    assert any(
        sentence in line for line in source.differences(facts.compute_frame_facts(destination))
    )


def test_a_sum_of_times_above_63_bits_is_correct() -> None:
    moments = pl.Series("t", [datetime(2013, 7, 1, tzinfo=UTC)] * 400_000)
    column = facts.compute_frame_facts(moments.to_frame()).columns["t"]
    assert math.isclose(column.sum, 400_000 * datetime(2013, 7, 1, tzinfo=UTC).timestamp())


def test_the_sum_of_small_integers_does_not_overflow() -> None:
    numbers = pl.DataFrame({"n": [2**31 - 1, 1]}, schema={"n": pl.Int32})
    assert facts.compute_frame_facts(numbers).columns["n"].sum == 2**31
