"""Runs through the supervisor, with nothing going wrong."""

from __future__ import annotations

from collections.abc import Callable

from apps.engine.contract import Succeeded
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import rows_of

Rehearse = Callable[..., Rehearsal]


def test_every_row_arrives_and_is_accounted_for(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 1234})
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert (outcome.read, outcome.written, outcome.rejected) == (1234, 1234, 0)
    assert rows_of(run.folder) == list(range(1, 1235))
    assert [output.rows for output in run.outputs] == [1234]
