"""Whatever a source or a destination does, the run ends with the right failure class and without secrets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apps.engine.contract import Failed, Succeeded
from apps.engine.failures import FailureClass
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import rows_of

Rehearse = Callable[..., Rehearsal]


@pytest.mark.parametrize(
    ("answer", "said", "retryable"),
    [
        ("none", "returned None instead of a page", False),
        ("tuple", "a value of type tuple instead of a page", False),
        ("dict", "a value of type dict instead of a page", False),
        ("rows_none", "records are None, not a list", False),
        ("bad_pagination", "next_pagination cannot be stored as JSON", False),
        ("same_page", "returned the requested page as the next page again", False),
        ("zero_division", "ZeroDivisionError", False),
        ("system_exit", "raised SystemExit", False),
    ],
)
def test_a_source_that_breaks_its_contract_fails_as_a_source(
    rehearse: Rehearse, answer: str, said: str, retryable: bool
) -> None:
    run = rehearse({"answer": answer, "after": 200})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert said in outcome.message
    assert outcome.retryable is retryable
    assert rows_of(run.folder) == []


def test_a_total_that_raises_fails_as_a_source(rehearse: Rehearse) -> None:
    outcome = rehearse({"total": "raises"}).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert "ZeroDivisionError" in outcome.message


def test_a_child_that_exits_silently_has_crashed_and_its_output_is_the_evidence(
    rehearse: Rehearse,
) -> None:
    run = rehearse({"answer": "exit", "after": 200})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CRASHED
    assert outcome.retryable
    assert "exit code 41" in outcome.evidence
    assert "about to give up" in outcome.evidence
    assert any(line.message == "about to give up" for line in run.log)


@pytest.mark.parametrize("fault", ["stage_fails", "disk_full", "publish_fails"])
def test_a_destination_that_fails_publishes_nothing_and_the_next_attempt_does(
    rehearse: Rehearse, fault: str
) -> None:
    run = rehearse({"rows": 400}, {"fault": fault, "password": "hunter2-hunter2"})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.DESTINATION
    assert "hunter2" not in str(outcome)
    assert rows_of(run.folder) == []
    assert isinstance(run.attempt(destination={"fault": ""}), Succeeded)
    assert rows_of(run.folder) == list(range(1, 401))


def test_a_destination_that_fails_while_the_queue_is_full_ends_the_run(rehearse: Rehearse) -> None:
    run = rehearse({"rows": 400_000, "page_size": 20_000}, {"fault": "stage_fails", "delay": 0.5})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.DESTINATION


def test_secrets_of_the_settings_are_masked_in_messages_evidence_and_logs(
    rehearse: Rehearse,
) -> None:
    run = rehearse({"answer": "secret", "password": "s3cret/with:odd chars"})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "•••" in outcome.message
    assert "s3cret" not in f"{outcome}{run.events}"


def test_the_log_has_the_evidence_of_a_failure_and_shows_that_the_next_starts_from_the_beginning(
    rehearse: Rehearse,
) -> None:
    run = rehearse({"rows": 1000, "answer": "zero_division", "while_exists": "trouble"})
    failed = run.attempt()
    assert isinstance(failed, Failed)
    errors = [line.message for line in run.log if line.level == "error"]
    assert errors == list(failed.evidence)
    run.trouble.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Starting from the beginning" in line.message for line in run.log)


def test_wrong_settings_are_named_and_their_values_are_not(rehearse: Rehearse) -> None:
    outcome = rehearse({"rows": "s3cret-value"}).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert any("rows" in line for line in outcome.evidence)
    assert "s3cret-value" not in str(outcome)


def test_a_state_database_that_is_not_there_is_our_fault_and_worth_a_retry(
    rehearse: Rehearse,
) -> None:
    from dataclasses import replace

    run = rehearse()
    run.spec = replace(run.spec, state_dsn="postgresql://app_engine:pass-word@127.0.0.1:1/drover")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.INTERNAL
    assert outcome.retryable
    assert "pass-word" not in str(outcome)


def test_rows_that_are_read_again_may_not_be_appended(rehearse: Rehearse) -> None:
    source = {"host": "db.example", "database": "d", "user": "u", "lookback_seconds": 60}
    run = rehearse(source, source_kind="postgres", sync_mode="incremental", write_mode="append")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "merge" in outcome.message
