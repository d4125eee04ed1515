"""The names of connectors are found in the words that people use for them."""

from __future__ import annotations

import pytest

from apps.agent.guided.matching import matching_connectors

CONNECTORS = [
    {"name": "Shop", "kind": "postgres"},
    {"name": "Flights database", "kind": "postgres"},
    {"name": "Database of prices", "kind": "duckdb"},
]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("shop", "Shop"),
        ("shop database", "Shop"),
        ("the Shop db", "Shop"),
        ("flights database", "Flights database"),
        ("flights db", "Flights database"),
        ("database of prices", "Database of prices"),
    ],
)
def test_a_connector_is_found_by_its_name_with_the_word_database(words: str, name: str) -> None:
    assert [connector["name"] for connector in matching_connectors(words, CONNECTORS)] == [name]


def test_the_word_database_alone_is_no_name() -> None:
    assert matching_connectors("db", CONNECTORS) == []
