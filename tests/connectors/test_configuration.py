"""Validation of any settings, for every kind in the catalogue, returns a result or errors with field names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.connectors import catalogue, configuration, schemas
from apps.connectors.catalogue import Kind
from tests.pipelines.test_definition import json_values

KINDS = [kind for role in ("source", "destination") for kind in catalogue.kinds(role).values()]


def random_settings(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Generate settings whose keys are mostly those of the kind."""
    names = st.sampled_from([*kind.schema.get("properties", {}), "auth", "type", "strange"])
    return st.dictionaries(names, json_values, max_size=6)


@pytest.mark.parametrize("rounds", [80, pytest.param(500, marks=pytest.mark.long)])
def test_any_settings_of_any_kind_are_accepted_or_their_errors_name_a_field(rounds: int) -> None:
    settings(max_examples=rounds)(given(st.data())(check_random_settings))()


def check_random_settings(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    first_settings, second_settings = (
        data.draw(random_settings(kind)),
        data.draw(random_settings(kind)),
    )
    first, errors = configuration.build(kind, first_settings, path="config")
    assert all(field.startswith("config") and message for field, message, _ in errors)
    configuration.build(kind, second_settings, previous=first, patch=True)
    second, errors_of_second = configuration.build(kind, second_settings, previous=first)
    if not errors_of_second:
        assert not schemas.errors(kind.schema, second.plain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.role}-{kind.name}")
def test_no_more_than_max_errors_fields_are_reported(kind: Kind) -> None:
    config = {f"{'x' * 50}{n}": 1 for n in range(20_000)}
    _, errors = configuration.build(kind, config, path="config")
    assert len(errors) == schemas.MAX_ERRORS
