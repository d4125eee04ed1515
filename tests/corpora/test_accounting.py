"""What a run publishes, refuses and lists: every record is written, rejected or skipped, and the lists agree with the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from apps.engine.contract import CodeSpec, Failed, Outcome, PublishRules, Succeeded
from apps.engine.failures import FailureClass
from local.database.postgres import EmbeddedPostgres
from tests.engine.conftest import Rehearsal
from tests.engine.runs.test_real_destinations import postgres_settings
from tests.engine.sources.api import Api, ReceivedRequest, Reply, serve_api

MakeRehearsal = Callable[..., Rehearsal]


class Items:
    """An API with pages of two items. An item can be deleted, and requests from an offset on can fail."""

    def __init__(self) -> None:
        self.ids = list(range(1, 9))
        self.fails_from: int | None = None

    def respond(self, request: ReceivedRequest) -> Reply:
        offset = int(request.params["offset"])
        if self.fails_from is not None and offset >= self.fails_from:
            return Reply(status=400)
        return Reply([{"id": n} for n in self.ids[offset : offset + 2]])


@pytest.fixture
def items() -> Items:
    return Items()


@pytest.fixture
def api(items: Items) -> Iterator[Api]:
    with serve_api(items.respond) as server:
        yield server


@pytest.fixture
def pipeline(api: Api, make_rehearsal: MakeRehearsal) -> Rehearsal:
    """A full refresh of the items to JSON Lines."""
    config = {
        "base_url": api.url,
        "pagination": {"type": "offset", "page_size": 2},
        "retries": 0,
        "streams": [{"name": "items", "path": "/items"}],
    }
    run = make_rehearsal(config, {}, source_kind="rest", destination_kind="jsonl", stream="items")
    run.spec = replace(run.spec, allow_private_networks=True)
    return run


def read_rows(run: Rehearsal) -> list[dict[str, Any]]:
    """Return the rows of the files that the last attempt lists."""
    texts = [(run.folder / output.key).read_bytes() for output in run.outputs]
    return [orjson.loads(line) for text in texts for line in text.splitlines()]


def transform(code: str) -> CodeSpec:
    return CodeSpec(f"def transform(record):\n    {code}\n")


def test_a_new_run_does_not_continue_at_a_place_that_has_moved(
    pipeline: Rehearsal, items: Items
) -> None:
    items.fails_from = 4
    assert isinstance(pipeline.attempt(), Failed)
    items.fails_from = None
    items.ids.remove(1)
    pipeline.start_new_run()
    assert isinstance(pipeline.attempt(), Succeeded)
    assert read_rows(pipeline) == [{"id": n} for n in range(2, 9)]


def test_a_new_version_of_the_transform_applies_to_all_records(
    pipeline: Rehearsal,
) -> None:
    first = transform("1 / (record['id'] - 7); return {**record, 'version': 1}")
    pipeline.spec = replace(pipeline.spec, transform=first)
    assert isinstance(pipeline.attempt(), Failed)
    pipeline.spec = replace(pipeline.spec, transform=transform("return {**record, 'version': 2}"))
    pipeline.start_new_run()
    assert isinstance(pipeline.attempt(), Succeeded)
    assert read_rows(pipeline) == [{"id": n, "version": 2} for n in range(1, 9)]


# Empty and broken results.

EVERY_DESTINATION = pytest.mark.parametrize(
    "kind", ["jsonl", "csv", "parquet", "duckdb", "ledger", "postgres"]
)


@pytest.fixture
def make_upload_pipeline(
    make_rehearsal: MakeRehearsal, engine_postgres: EmbeddedPostgres
) -> Callable[..., Rehearsal]:
    """Return a function that creates a full refresh of the uploaded JSON Lines files to a destination."""

    def build(kind: str = "jsonl", **modes: Any) -> Rehearsal:
        settings = postgres_settings(engine_postgres) if kind == "postgres" else {}
        run = make_rehearsal(
            {"path": "lines.jsonl"},
            settings,
            source_kind="files",
            destination_kind=kind,
            stream="lines",
            **modes,
        )
        table = f"lines_{run.spec.run_id[:8]}"
        destination = replace(run.spec.destination, table=table)
        run.spec = replace(run.spec, destination=destination, allow_private_networks=True)
        return run

    return build


def upload(run: Rehearsal, text: str) -> None:
    """Replace the org's only uploaded file."""
    folder = run.folder / run.spec.files.prefix
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lines.jsonl").write_text(text)


def set_rules(run: Rehearsal, **rules: Any) -> None:
    run.spec = replace(run.spec, rules=PublishRules(**rules))


def read_kept(run: Rehearsal, kind: str) -> list[dict[str, Any]]:
    """Return the records of the run that are kept, in order."""
    root = run.spec.left_out
    assert root is not None
    files = sorted((run.folder / root.prefix / "left-out").glob(f"*/*/{kind}/*.jsonl"))
    return [orjson.loads(line) for file in files for line in file.read_bytes().splitlines()]


def contract_failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    assert (outcome.failure_class, outcome.retryable) == (FailureClass.CONTRACT, False)
    return outcome


@pytest.mark.sample(2)
@EVERY_DESTINATION
def test_a_result_without_rows_replaces_rows_only_if_that_is_allowed(
    make_upload_pipeline: Callable[..., Rehearsal], kind: str
) -> None:
    run = make_upload_pipeline(kind)
    upload(run, "")
    assert isinstance(run.attempt(), Succeeded), "there are no rows that could be removed"
    run.start_new_run()
    upload(run, '{"id": 1}\n{"id": 2}\n')
    assert isinstance(run.attempt(), Succeeded)
    run.start_new_run()
    upload(run, "")
    failed = contract_failure(run.attempt())
    assert "would remove all rows" in failed.message
    set_rules(run, allow_empty=True)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded), outcome
    assert outcome.written == 0
    run.start_new_run()
    set_rules(run)
    assert isinstance(run.attempt(), Succeeded), "the table is empty now"


@pytest.mark.sample(2)
@EVERY_DESTINATION
def test_a_file_of_which_every_line_is_rejected_replaces_nothing(
    make_upload_pipeline: Callable[..., Rehearsal], kind: str
) -> None:
    run = make_upload_pipeline(kind)
    upload(run, '{"id": 1}\n')
    assert isinstance(run.attempt(), Succeeded)
    run.start_new_run()
    upload(run, "[1, 2]\n[3, 4]\n")
    failed = contract_failure(run.attempt())
    assert "2 of 2 records were rejected, which is 100%; this pipeline allows 0%" in failed.message
    assert "The first: not an object (" in failed.message
    set_rules(run, max_rejected_share=1.0)
    assert "would remove all rows" in contract_failure(run.attempt()).message
    set_rules(run, max_rejected_share=1.0, allow_empty=True)
    assert isinstance(run.attempt(), Succeeded)


@pytest.mark.parametrize("write_mode", ["replace", "append"])
def test_rejected_records_end_the_run_in_every_mode_and_a_retry_with_a_raised_limit_publishes(
    make_upload_pipeline: Callable[..., Rehearsal], write_mode: str
) -> None:
    run = make_upload_pipeline(write_mode=write_mode)
    upload(run, '{"id": 1}\n[0]\n{"id": 2}\n{"id": 3}\n')
    failed = contract_failure(run.attempt())
    assert "1 of 4 records were rejected, which is 25%" in failed.message
    assert not run.outputs
    set_rules(run, max_rejected_share=0.24)
    contract_failure(run.attempt())
    set_rules(run, max_rejected_share=0.25)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert (outcome.read, outcome.written, outcome.rejected, outcome.skipped) == (4, 3, 1, 0)
    assert any("publishing the staged data" in line.message for line in run.log)
    assert read_rows(run) == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert read_kept(run, "rejected") == [
        {
            "reason": "not an object",
            "position": "page 1, record 2",
            "record": "[0]",
            "complete": True,
            "kept": None,
        }
    ]


def test_a_retry_after_the_source_was_corrected_reads_it_again(
    make_upload_pipeline: Callable[..., Rehearsal],
) -> None:
    run = make_upload_pipeline()
    upload(run, '{"id": 1}\n[0]\n')
    contract_failure(run.attempt())
    upload(run, '{"id": 1}\n{"id": 2}\n')
    assert isinstance(run.attempt(), Succeeded)
    assert read_rows(run) == [{"id": 1}, {"id": 2}]
    assert read_kept(run, "rejected") == [], "the records of the abandoned job are removed"


def test_a_transform_skips_records_which_are_counted_and_kept_and_end_no_run(
    make_upload_pipeline: Callable[..., Rehearsal],
) -> None:
    run = make_upload_pipeline()
    upload(run, "".join(f'{{"id": {n}}}\n' for n in range(1, 6)))
    code = "return [record, record] if record['id'] == 5 else [] if record['id'] % 2 else None"
    run.spec = replace(run.spec, transform=transform(code))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert (outcome.read, outcome.written, outcome.rejected, outcome.skipped) == (6, 2, 0, 4)
    assert read_rows(run) == [{"id": 5}, {"id": 5}]
    kept = read_kept(run, "skipped")
    assert [(item["position"], item["record"]) for item in kept] == [
        (f"page 1, record {n}", f'{{"id": {n}}}') for n in range(1, 5)
    ]
    assert {item["reason"] for item in kept} == {"the transform returned nothing"}


def test_the_first_thousand_left_out_records_are_kept_over_attempts_exactly_once(
    make_rehearsal: MakeRehearsal,
) -> None:
    source = {"rows": 3000, "answer": "zero_division", "after": 800, "while_exists": "flag"}
    run = make_rehearsal(source, write_mode="append")
    run.spec = replace(
        run.spec, transform=transform("return record if record['id'] > 2990 else None")
    )
    assert isinstance(run.attempt(), Failed)
    run.failure_flag.unlink()
    assert isinstance(run.attempt_with_kill("checkpoint done 1"), Failed)
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert (outcome.read, outcome.written, outcome.skipped) == (3000, 10, 2990)
    kept = [orjson.loads(item["record"])["id"] for item in read_kept(run, "skipped")]
    assert kept == list(range(1, 1001))


def test_a_kept_record_is_exact_or_says_that_it_is_not_complete(
    make_upload_pipeline: Callable[..., Rehearsal],
) -> None:
    run = make_upload_pipeline()
    exact = '[9007199254740993, "' + "x" * 50_000 + '"]'
    upload(run, f'{exact}\n["{"y" * 100_000}"]\n{{"id": 1}}\n')
    set_rules(run, max_rejected_share=0.9)
    assert isinstance(run.attempt(), Succeeded)
    first, second = read_kept(run, "rejected")
    assert (first["record"], first["complete"]) == (exact, True)
    assert (len(second["record"]), second["complete"]) == (64 << 10, False)


def test_a_secret_of_the_settings_is_masked_in_kept_records(make_rehearsal: MakeRehearsal) -> None:
    run = make_rehearsal({"rows": 1, "password": "canarysecret71ab"})
    code = r"return {'\0': 'the key is canarysecret71ab'}"
    run.spec = replace(run.spec, transform=transform(code))
    failed = contract_failure(run.attempt())
    assert "a field's name cannot be a column name" in failed.message
    [kept] = read_kept(run, "rejected")
    assert kept["record"].startswith('{"\\u0000": "the key is ')
    assert "canarysecret71ab" not in kept["record"]


def test_a_sync_that_starts_again_in_the_same_attempt_keeps_its_own_records_only(
    make_rehearsal: MakeRehearsal,
) -> None:
    run = make_rehearsal({"rows": 400, "answer": "gone", "after": 300, "while_exists": "flag"})
    run.spec = replace(run.spec, transform=transform("return None if record['id'] < 3 else record"))
    outcome = run.attempt()
    assert isinstance(outcome, Succeeded)
    assert outcome.skipped == 2
    assert any("Reading from the beginning" in line.message for line in run.log)
    assert len(read_kept(run, "skipped")) == 2
