"""The next step of a failure agrees with whether a retry without a change can help."""

from __future__ import annotations

import re

import psycopg
import pytest

from apps.engine.contract import Failed
from apps.engine.destinations.postgres.connection import FAILURES_BY_SQLSTATE
from apps.engine.failures import LIMITS_OF_ORG, EngineError, FailureClass
from apps.engine.process.stream_series import stop_failure
from apps.engine.reporting.classify import classify
from apps.engine.reporting.redaction import Redactor
from apps.engine.sources.postgres.connection import convert_server_error
from apps.runs.next_steps import STEPS_BY_MESSAGE, next_step
from apps.runs.usage.counting import Measure, limit_failure

# A step that begins like this asks for another attempt as if nothing had to change.
ASKS_FOR_A_RETRY = re.compile(r"(retry|wait|test)\b", re.IGNORECASE)
OFFERS_A_RETRY = re.compile(r"\bor retry\b", re.IGNORECASE)
# A cancelled run has no fault that somebody could correct.
CLASSES = [failure for failure in FailureClass if failure is not FailureClass.CANCELLED]
SQLSTATES = sorted(
    {
        state
        for error in vars(psycopg.errors).values()
        if isinstance(state := getattr(error, "sqlstate", None), str)
    }
)


def changes_something(step: str) -> bool:
    return not ASKS_FOR_A_RETRY.match(step) and not OFFERS_A_RETRY.search(step)


def step_of(failed: Failed | EngineError) -> str:
    return next_step(failed.failure_class, failed.message, retryable=failed.retryable)


@pytest.mark.parametrize("failure", CLASSES)
def test_a_failure_that_a_retry_cannot_help_asks_for_a_change_first(failure: FailureClass) -> None:
    messages = ["It failed.", *STEPS_BY_MESSAGE.get(failure, {})]
    steps = [next_step(failure, message, retryable=False) for message in messages]
    assert [step for step in steps if not changes_something(step)] == []


@pytest.mark.parametrize("failure", [FailureClass.SOURCE, FailureClass.DESTINATION])
def test_a_failure_that_may_pass_asks_to_test_the_connector_and_retry(
    failure: FailureClass,
) -> None:
    step = next_step(failure, "It failed.", retryable=True)
    assert not changes_something(step)
    assert next_step(failure, "It failed.", retryable=None) == step  # of an older release


def failures_of(sqlstate: str) -> list[Failed | EngineError]:
    """Return what an error of PostgreSQL becomes as source, as destination, and in bizon's sources."""
    error = psycopg.errors.lookup(sqlstate)("no message")
    failures: list[Failed | EngineError] = [
        classify(error, side=side, redactor=Redactor([])) for side in ("source", "destination")
    ]
    return [*failures, convert_server_error(sqlstate, "no message")]


def test_every_error_of_postgresql_has_a_step_that_agrees_with_whether_it_may_pass() -> None:
    assert len(SQLSTATES) > 200
    wrong = {
        sqlstate: step_of(failed)
        for sqlstate in SQLSTATES
        for failed in failures_of(sqlstate)
        if not failed.retryable and not changes_something(step_of(failed))
    }
    assert wrong == {}


def test_every_error_that_the_destination_knows_has_a_step_that_agrees() -> None:
    failures = [error(message) for error, message in FAILURES_BY_SQLSTATE.values()]
    steps = [step_of(failed) for failed in failures if not failed.retryable]
    assert [step for step in steps if not changes_something(step)] == []


@pytest.mark.parametrize(
    "sqlstate",
    ["21000", "22012", "2201B", "38000", "42883", "54000", "P0001"],
    ids=["several rows", "division", "expression", "external", "function", "limit", "raised"],
)
def test_an_error_that_follows_from_the_definition_of_a_view_is_not_retried(sqlstate: str) -> None:
    assert [failed.retryable for failed in failures_of(sqlstate)] == [False, False, False]


@pytest.mark.parametrize("sqlstate", ["40001", "53300", "55P03", "57014", "57P01", "08006"])
def test_an_error_that_may_pass_is_retried(sqlstate: str) -> None:
    assert [failed.retryable for failed in failures_of(sqlstate)] == [True, True, True]


def test_a_cancelled_query_is_not_called_a_lost_connection() -> None:
    assert {failed.message for failed in failures_of("57014")} == {
        "The source cancelled the query.",
        "The destination cancelled the query.",
        "PostgreSQL cancelled the query",
    }


def test_a_run_at_a_limit_of_its_organization_has_a_step_about_the_limit() -> None:
    failures = [stop_failure("limit"), limit_failure(Measure("rows_month", 10, 10))]
    for failed in failures:
        assert any(text in failed.message for text in LIMITS_OF_ORG)
        assert "raise the organization's limit" in step_of(failed)
