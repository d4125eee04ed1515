"""The log of a run can be searched, and downloaded as text."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.engine.contract import LogLine
from apps.orgs.roles import Role
from apps.runs.models import Run
from apps.runs.outputs import log_search, logs, storage
from tests.runs.conftest import make_pipeline
from tests.runs.processes import start_run
from tests.runs.test_logs import write_log
from tests.world import World

AT = "2026-03-01T06:00:00Z"
CHARACTERS = st.sampled_from([*'abkKiIzß="\\5 {é', "\u212a", "\u0130", "\u2028"])
TEXTS = st.text(CHARACTERS, max_size=6)


@pytest.fixture
def run_id(world: World) -> UUID:
    return start_run(world, make_pipeline(world))


def make_line(message: str, level: Any = "info", **fields: object) -> LogLine:
    return LogLine(AT, level, message, fields)


def make_log(world: World, run_id: UUID, lines: list[LogLine], *, lines_per_part: int = 10) -> None:
    """Store the lines as the log of the run."""
    with world.scope():
        batches = [lines[i : i + lines_per_part] for i in range(0, len(lines), lines_per_part)]
        write_log(world, run_id, batches, 1)
        Run.objects.for_org(world.org).filter(pk=run_id).update(log_lines=len(lines))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(message=TEXTS, value=TEXTS, text=TEXTS)
@example(message="\u212aelvin", value="", text="kelvin")
@example(message='a "quoted" text', value="", text='"QUOTED"')
@example(message="", value="5", text="key=5")
def test_a_line_matches_if_its_message_or_its_fields_contain_the_text_in_any_case(
    message: str, value: str, text: str
) -> None:
    stored = logs.encode([make_line(message, key=value)])
    line_filter = log_search.LineFilter(None, text)

    shown = (message.lower(), f"key={value}".lower())
    is_match = any(text.lower() in each for each in shown)

    rendered: Any = logs.render_line(make_line(message, key=value))
    assert line_filter.matches(rendered) == is_match
    assert list(line_filter.candidates(stored)) == [0] or not is_match


def test_a_search_returns_the_matching_lines_with_their_numbers(world: World, run_id: UUID) -> None:
    messages = [f"row {number}" for number in range(60)]
    lines = [make_line(message) for message in messages]
    lines[25] = make_line("slow page", "warning", table="Flights")
    lines[41] = make_line("FLIGHTS failed", "error")
    make_log(world, run_id, lines)

    client = world.client(Role.VIEWER)
    page = client.get(f"/api/v1/runs/{run_id}/logs", {"q": "flights"}).json()
    errors = client.get(f"/api/v1/runs/{run_id}/logs", {"q": "flights", "level": "error"}).json()

    assert [line["line"] for line in page["lines"]] == [25, 41]
    assert page["next_offset"] is None
    assert [line["line"] for line in errors["lines"]] == [41]


def test_the_parts_with_matches_lead_to_each_matching_line(world: World, run_id: UUID) -> None:
    lines = [make_line("odd" if number % 7 == 3 else "row") for number in range(60)]
    make_log(world, run_id, lines)
    client = world.client(Role.VIEWER)

    found = client.get(f"/api/v1/runs/{run_id}/logs/matches", {"q": "odd"}).json()

    assert sum(part["matches"] for part in found["parts"]) == 9
    assert (found["next_offset"], found["total"]) == (None, 60)
    for part in found["parts"]:
        query = {"q": "odd", "offset": part["first_line"], "limit": part["matches"]}
        page = client.get(f"/api/v1/runs/{run_id}/logs", query).json()
        numbers = [line["line"] for line in page["lines"]]
        assert len(numbers) == part["matches"]
        assert numbers[-1] < part["first_line"] + part["lines"]


def test_the_lines_of_a_level_are_counted_without_reading_the_log(
    world: World, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [make_line("row", "error" if number == 33 else "info") for number in range(60)]
    make_log(world, run_id, lines)
    monkeypatch.setattr(storage, "read", lambda key: pytest.fail("the log was read"))

    path = f"/api/v1/runs/{run_id}/logs/matches"
    errors = world.client().get(path, {"level": "error"}).json()
    everything = world.client().get(path).json()

    assert errors["parts"] == [{"first_line": 30, "lines": 10, "matches": 1}]
    assert [part["matches"] for part in everything["parts"]] == [10] * 6


def test_a_long_search_ends_early_and_continues_where_it_ended(
    world: World, run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_log(world, run_id, [make_line("row")] * 45)
    monkeypatch.setattr(log_search, "SEARCH_SECONDS", 0.0)
    client = world.client(Role.VIEWER)

    def read_all(path: str) -> list[dict[str, Any]]:
        pages: list[dict[str, Any]] = []
        offset: int | None = 0
        while offset is not None:
            pages.append(client.get(f"/api/v1/runs/{run_id}{path}?q=row&offset={offset}").json())
            offset = pages[-1]["next_offset"]
        return pages

    parts = [part for page in read_all("/logs/matches") for part in page["parts"]]
    pages = read_all("/logs")

    assert [part["first_line"] for part in parts] == [0, 10, 20, 30, 40]
    assert [line["line"] for page in pages for line in page["lines"]] == list(range(45))
    assert all(first["next_offset"] == last["offset"] for first, last in pairwise(pages))


def test_searches_that_run_at_once_share_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(log_search, "SEARCH_SECONDS", 60.0)
    monkeypatch.setattr(log_search, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with (
        log_search.SearchTime() as first,
        log_search.SearchTime(),
        log_search.SearchTime() as third,
    ):
        now[0] = 25.0
        assert (first.is_over, third.is_over) == (False, True)
    with log_search.SearchTime() as alone:
        now[0] = 84.0
        assert not alone.is_over


def test_code_cannot_forge_a_line_of_the_downloaded_log(world: World, run_id: UUID) -> None:
    forged = f"{AT} info    Published 100 records"
    make_log(world, run_id, [make_line(f"x\n{forged}", by="output", note=f"y\n{forged}")])

    answer = world.client(Role.VIEWER).get(f"/api/v1/runs/{run_id}/logs/download")

    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert [line.startswith(AT) for line in text.splitlines()] == [True, False, False]


def test_the_whole_log_can_be_downloaded_as_text(
    world: World, stranger: World, run_id: UUID
) -> None:
    lines = [make_line("first\nsecond", rows=5), *[make_line("row", "warning")] * 30]
    make_log(world, run_id, lines)

    answer = world.client(Role.VIEWER).get(f"/api/v1/runs/{run_id}/logs/download")

    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith(f"{AT} info    first\n    second rows=5\n{AT} warning row\n")
    assert text.count("\n") == 32
    assert answer["Content-Disposition"] == f'attachment; filename="run-{run_id}.log"'
    for path in ("matches", "download"):
        foreign = stranger.client().get(f"/api/v1/runs/{run_id}/logs/{path}")
        unknown = stranger.client().get(f"/api/v1/runs/{uuid4()}/logs/{path}")
        assert (foreign.status_code, foreign.content) == (404, unknown.content)
