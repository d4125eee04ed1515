"""A run fails with the right failure class, and shows no secret, for every fault of a source or destination."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from apps.engine.contract import Failed, Succeeded
from apps.engine.failures import FailureClass
from tests.engine.conftest import Rehearsal
from tests.engine.ledger import published_ids

MakeRehearsal = Callable[..., Rehearsal]


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    ("answer", "expected_text", "retryable"),
    [
        ("none", "returned None instead of a page", False),
        ("tuple", "a value of type tuple instead of a page", False),
        ("dict", "a value of type dict instead of a page", False),
        ("rows_none", "records are None, not a list", False),
        ("bad_pagination", "next_pagination cannot be stored as JSON", False),
        ("same_page", "returned the token of a page that it has returned before", False),
        ("same_record", "returns the same records again", False),
        ("zero_division", "ZeroDivisionError", False),
        ("system_exit", "raised SystemExit", False),
    ],
)
def test_a_source_that_breaks_its_contract_fails_with_the_class_source(
    make_rehearsal: MakeRehearsal, answer: str, expected_text: str, retryable: bool
) -> None:
    run = make_rehearsal({"answer": answer, "after": 200})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert expected_text in outcome.message
    assert outcome.retryable is retryable
    assert published_ids(run.folder) == []


def test_an_exception_in_the_count_of_records_fails_with_the_class_source(
    make_rehearsal: MakeRehearsal,
) -> None:
    outcome = make_rehearsal({"total": "raises"}).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.SOURCE
    assert "ZeroDivisionError" in outcome.message


def test_a_child_that_exits_without_a_result_has_crashed_and_its_output_is_the_evidence(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"answer": "exit", "after": 200})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CRASHED
    assert outcome.retryable
    assert "exit code 41" in outcome.evidence
    assert "about to give up" in outcome.evidence
    assert any(line.message == "about to give up" for line in run.log)


@pytest.mark.parametrize("fault", ["stage_fails", "disk_full", "publish_fails"])
def test_a_failed_destination_publishes_nothing_and_the_next_attempt_publishes_all_rows(
    make_rehearsal: MakeRehearsal, fault: str
) -> None:
    run = make_rehearsal({"rows": 400}, {"fault": fault, "password": "hunter2-hunter2"})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.DESTINATION
    assert "hunter2" not in str(outcome)
    assert published_ids(run.folder) == []
    assert isinstance(run.attempt(destination={"fault": ""}), Succeeded)
    assert published_ids(run.folder) == list(range(1, 401))


def test_a_destination_that_fails_while_the_queue_is_full_ends_the_run(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal(
        {"rows": 400_000, "page_size": 20_000}, {"fault": "stage_fails", "delay": 0.5}
    )
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.DESTINATION


def test_secrets_of_the_settings_are_masked_in_messages_evidence_and_logs(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"answer": "secret", "password": "s3cret/with:odd chars"})
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert "•••" in outcome.message
    assert "s3cret" not in f"{outcome}{run.events}"


def test_the_log_shows_the_evidence_and_that_the_next_attempt_starts_from_the_beginning(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 1000, "answer": "zero_division", "while_exists": "failure_flag"})
    failed = run.attempt()
    assert isinstance(failed, Failed)
    errors = [line.message for line in run.log if line.level == "error"]
    assert errors == list(failed.evidence)
    run.failure_flag.unlink()
    assert isinstance(run.attempt(), Succeeded)
    assert any("Starting from the beginning" in line.message for line in run.log)


def test_a_failure_names_wrong_settings_without_their_values(make_rehearsal: MakeRehearsal) -> None:
    outcome = make_rehearsal({"rows": "s3cret-value"}).attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert any("rows" in line for line in outcome.evidence)
    assert "s3cret-value" not in str(outcome)


def test_an_unreachable_state_database_is_a_retryable_internal_failure(
    make_rehearsal: MakeRehearsal,
) -> None:
    from dataclasses import replace

    run = make_rehearsal()
    run.spec = replace(run.spec, state_dsn="postgresql://app_engine:pass-word@127.0.0.1:1/drover")
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.INTERNAL
    assert outcome.retryable
    assert "pass-word" not in str(outcome)


def test_a_source_with_a_lookback_cannot_append(make_rehearsal: MakeRehearsal) -> None:
    source = {"host": "db.example", "database": "d", "user": "u", "lookback_seconds": 60}
    run = make_rehearsal(
        source, source_kind="postgres", sync_mode="incremental", write_mode="append"
    )
    outcome = run.attempt()
    assert isinstance(outcome, Failed)
    assert outcome.failure_class is FailureClass.CONFIGURATION
    assert "merge" in outcome.message
