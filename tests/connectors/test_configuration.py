"""Validate settings of every kind in the catalogue: any input leads to a result or to named errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.connectors import catalogue, configuration, schemas
from apps.connectors.catalogue import Kind
from tests.pipelines.test_definition import values

KINDS = [kind for role in ("source", "destination") for kind in catalogue.kinds(role).values()]


def named(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    """Generate objects whose keys are mostly those of the kind."""
    names = st.sampled_from([*kind.schema.get("properties", {}), "auth", "type", "strange"])
    return st.dictionaries(names, values, max_size=6)


@pytest.mark.parametrize("rounds", [80, pytest.param(500, marks=pytest.mark.long)])
def test_any_settings_of_any_kind_are_settled_or_their_errors_have_names(rounds: int) -> None:
    settings(max_examples=rounds)(given(st.data())(build_any))()


def build_any(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    sent, more = data.draw(named(kind)), data.draw(named(kind))
    first, errors = configuration.build(kind, sent, path="config")
    assert all(field.startswith("config") and message for field, message, _ in errors)
    configuration.build(kind, more, before=first, patch=True)
    again, wrong = configuration.build(kind, more, before=first)
    if not wrong:
        assert not schemas.errors(kind.schema, again.plain)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.role}-{kind.name}")
def test_a_thousand_unknown_fields_cost_no_more_than_the_first_few(kind: Kind) -> None:
    sent = {f"{'x' * 50}{n}": 1 for n in range(20_000)}
    _, errors = configuration.build(kind, sent, path="config")
    assert len(errors) == schemas.MAX_ERRORS
