"""Sources that return the same records for ever, each time with another token."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apps.engine.sync.repeats import MAX_REPEATS, RepeatedRecords, Repeats

KEYED = [{"id": n, "name": f"row {n}"} for n in range(10)]
Rows = list[dict[str, Any]]


def pages_until_failure(repeats: Repeats, pages: list[Rows], limit: int = 2000) -> int:
    """Return the number of pages that were read when the failure was raised, if the pages come again and again."""
    for number in range(limit):
        try:
            repeats.add(pages[number % len(pages)])
        except RepeatedRecords:
            return number + 1
    return 0


@pytest.mark.parametrize("size", [1, 10])
def test_a_page_that_comes_again_fails_after_a_few_pages(size: int) -> None:
    assert pages_until_failure(Repeats(()), [KEYED[:size]]) <= 5


@pytest.mark.parametrize("length", [2, 7, 40, 300])
def test_a_cycle_of_pages_fails_a_few_pages_after_it_closes(length: int) -> None:
    pages = [[{"id": n}] for n in range(length)]
    assert length < pages_until_failure(Repeats(()), pages) <= length + 5


def test_with_a_declared_key_order_and_other_fields_do_not_count() -> None:
    generator, repeats = random.Random(1), Repeats(["id"])
    pages = [
        generator.sample([{**row, "served": served} for row in KEYED], len(KEYED))
        for served in range(10)
    ]
    assert pages_until_failure(repeats, pages) <= 5


def test_records_without_keys_may_be_equal_on_many_pages() -> None:
    found = pages_until_failure(Repeats(()), [[{"state": "up"}]], limit=MAX_REPEATS)
    assert found == 0
    assert pages_until_failure(Repeats(()), [[{"state": "up"}]]) == MAX_REPEATS + 1


def test_changes_of_one_record_are_no_repeats() -> None:
    pages = [[{"id": 1, "version": version}] for version in range(1000)]
    assert pages_until_failure(Repeats(["id"]), pages, limit=1000) == 0


def test_new_pages_are_no_repeats() -> None:
    pages = [[{"id": n}, {"id": -n}] for n in range(1, 5000)]
    assert pages_until_failure(Repeats(["id"]), pages, limit=4999) == 0
