"""Two runs of a pipeline can be compared: settings, streams, and messages of the log."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from apps.engine.contract import LogLine
from apps.orgs.roles import Role
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs.comparing.log_messages import compare_messages
from apps.runs.comparing.services import LINES_COMPARED
from apps.runs.models import Run, RunStream
from apps.runs.outputs import logs
from tests.runs.conftest import make_pipeline
from tests.world import World

START = datetime(2026, 3, 1, 6, tzinfo=UTC)


def make_run(
    world: World, pipeline: Pipeline, messages: list[str], *, version: int = 1, written: int = 5
) -> Run:
    """Create an ended run of one stream, with a log."""
    with world.scope():
        run: Run = Run.unscoped.create(
            org=world.org,
            pipeline=pipeline,
            version=version,
            status="succeeded",
            trigger="manual",
            started_at=START,
            finished_at=START,
            log_lines=len(messages),
        )
        RunStream.unscoped.create(
            org=world.org, run=run, position=0, name="generated", table="rows",
            status="succeeded", records_written=written,
        )  # fmt: skip
        lines = [LogLine("2026-03-01T06:00:00Z", "info", message) for message in messages]
        logs.save(
            logs.store(
                logs.Draft(0).with_lines(lines), org_id=world.org.pk, run_id=run.pk, attempt=1
            )
        )
    return run


def add_version(world: World, pipeline: Pipeline, **stream: str) -> None:
    """Add version 2 of the pipeline, with other settings of its stream."""
    with world.scope():
        first = PipelineVersion.objects.for_org(world.org).get(pipeline=pipeline, number=1)
        definition: Any = {
            **first.definition,
            "streams": [{**first.definition["streams"][0], **stream}],
        }
        PipelineVersion.unscoped.create(
            org=world.org, pipeline=pipeline, number=2, definition=definition
        )


def test_runs_differ_in_settings_counts_and_messages(world: World, pipeline: Pipeline) -> None:
    add_version(world, pipeline, write_mode="merge")
    other = make_run(world, pipeline, ["Staged 5 rows in 0.3 s", "Published"])
    run = make_run(
        world, pipeline, ["Staged 12 rows in 1.3 s", "password is wrong"], version=2, written=0
    )

    answer = world.client(Role.VIEWER).get(f"/api/v1/runs/{run.pk}/compare/{other.pk}")

    assert answer.status_code == 200, answer.content
    comparison = answer.json()
    assert [(c["field"], c["before"], c["after"]) for c in comparison["changes"]] == [
        ("streams.0.write_mode", "replace", "merge")
    ]
    (stream,) = comparison["streams"]
    assert (stream["run"]["written"], stream["other"]["written"]) == (0, 5)
    assert comparison["only_in_run"] == [
        {"line": 1, "level": "info", "message": "password is wrong"}
    ]
    assert [line["message"] for line in comparison["only_in_other"]] == ["Published"]


def test_a_stranger_and_a_run_of_another_pipeline_get_the_404_of_an_unknown_run(
    world: World, stranger: World, pipeline: Pipeline
) -> None:
    run, other = (make_run(world, pipeline, ["x"]) for _ in range(2))
    run_of_other_pipeline = make_run(world, make_pipeline(world), ["x"])

    def get(client: Any, *ids: object) -> tuple[int, bytes]:
        answer = client.get("/api/v1/runs/{}/compare/{}".format(*ids))
        return answer.status_code, answer.content

    unknown = get(world.client(), run.pk, uuid4())
    assert unknown[0] == 404
    assert get(stranger.client(), run.pk, other.pk) == unknown
    assert get(world.client(), run.pk, run_of_other_pipeline.pk) == unknown


def test_messages_that_differ_only_in_times_ids_and_numbers_are_the_same() -> None:
    def line(number: int, message: str, level: str = "info") -> dict[str, Any]:
        return {"line": number, "level": level, "message": message}

    first = [
        line(0, "run 0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a11 of 2026-03-01T06:00:00Z"),
        line(1, "read 1,200 rows in 3.5 s, digest 9f86d081884c7d65"),
        line(2, "done"),
        line(3, "done", "warning"),
        line(4, "done", "warning"),
    ]
    second = [
        line(0, "run 0195d3a0-7a52-7c3e-9f59-6a1f0c3b9a12 of 2026-03-02T07:10:00Z"),
        line(1, "read 7 rows in 12 s, digest 60303ae22b998861"),
        line(2, "done"),
    ]

    own, other_own = compare_messages(first, second)
    assert [each.line for each in own] == [3]
    assert other_own == []


def test_hostile_messages_are_compared_in_few_seconds() -> None:
    """Code of an organization can print digits and letters that look like the start of an id at each character."""
    texts = (f"{'a1' * 245}{number:x}z" for number in range(LINES_COMPARED))
    lines = [{"line": n, "level": "info", "message": text} for n, text in enumerate(texts)]
    start = time.process_time()
    assert compare_messages(lines, lines) == ([], [])
    assert time.process_time() - start < 3
