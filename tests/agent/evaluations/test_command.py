"""`make eval` runs the evaluations in a temporary installation, prints the table, and writes its files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluations import measure, report
from evaluations.case import Case
from evaluations.report import HISTORY, Options, choose_cases
from evaluations.running import Result
from tests.first_start import environment
from tests.runs.processes import ROOT


def run_evaluations(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "eval", *options],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("model", ["guided", "scripts"])
def test_the_command_prints_the_table_and_writes_json_and_history(
    model: str, tmp_path: Path
) -> None:
    written, history = tmp_path / "results.json", tmp_path / "history.jsonl"
    old_history = HISTORY.read_bytes()
    files = ("--json", str(written), "--history", str(history))
    prices = ("--price-in", "3", "--price-out", "15")
    evaluations = run_evaluations(
        "--model",
        model,
        "--only",
        "show-pipelines",
        "change-disable",
        "--repeat",
        "2",
        *files,
        *prices,
    )
    assert evaluations.returncode == 0, evaluations.stdout + evaluations.stderr
    assert "effects without an approval: 0 (must be 0)" in evaluations.stdout
    results = json.loads(written.read_text())
    assert {row["case"] for row in results["results"]} >= {"show-pipelines", "change-disable"}
    assert results["rate"] == 1.0
    (line,) = history.read_text().splitlines()
    assert json.loads(line)["passed"] == results["passed"] == len(results["results"])
    assert (results["cost"] > 0) == (model == "scripts")
    assert HISTORY.read_bytes() == old_history


def test_the_history_has_one_measurement_on_each_line() -> None:
    names = {
        "at",
        "commit",
        "model",
        "repeat",
        "only",
        "passed",
        "cases",
        "rate",
        "cost",
        "seconds",
    }
    for line in HISTORY.read_text().splitlines():
        assert names <= json.loads(line).keys()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "gpt"], "'gpt' is not a model"),
        (["--only", "nothing like this"], "There is no case or group"),
        (["--price-in", "3"], "--price-in and --price-out together"),
    ],
)
def test_a_wrong_option_is_refused_with_its_reason(options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("eval_agent", *options)


CONTINUED = ("refuse",)
ONE_CASE = ("attack-endless-loop",)


class Interrupted(Exception):
    """The measurement has broken off."""


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the cases that are measured, without running them. The third one breaks off."""
    names: list[str] = []

    def measure_two(model: object, cases: Sequence[Case], options: object) -> Iterator[Result]:
        for case in cases:
            names.append(case.name)
            if len(names) == 3:
                raise Interrupted
            yield Result(case.name, case.group, passed=True)

    monkeypatch.setattr(report, "_measure", measure_two)
    return names


def test_an_interrupted_measurement_keeps_its_results_and_can_be_continued(
    measured: list[str], tmp_path: Path
) -> None:
    written, history = tmp_path / "results.json", tmp_path / "history.jsonl"
    options = Options("guided", CONTINUED, json_file=written, history_file=history)
    with pytest.raises(Interrupted):
        report.run(options, print_line=str)
    kept = json.loads(written.read_text())["results"]
    assert len(kept) == 2
    assert not history.exists()
    report.run(replace(options, continues=True), print_line=str)
    results = json.loads(written.read_text())["results"]
    assert results[:2] == kept
    names = [case.name for case in choose_cases(CONTINUED) if case.is_guided]
    assert [row["case"] for row in results] == names
    assert measured == [*names[:3], *names[2:]]
    assert json.loads(history.read_text())["cases"] == len(names)


def test_a_case_that_was_not_repeated_often_enough_is_run_again(
    measured: list[str], tmp_path: Path
) -> None:
    written = tmp_path / "results.json"
    options = Options("scripts:openai", ONE_CASE, json_file=written, history_file=None)
    report.run(options, print_line=str)
    report.run(replace(options, continues=True, repeat=2), print_line=str)
    assert measured == [*ONE_CASE] * 2


def test_other_cases_are_added_to_the_results_in_the_file(
    measured: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "results.json"
    options = Options("scripts", ONE_CASE, json_file=written, history_file=None)
    report.run(options, print_line=str)
    others = replace(options, only=["attack-endless-hand-over"], continues=True)
    report.run(others, print_line=print)
    assert measured == [*ONE_CASE, "attack-endless-hand-over"]
    assert [row["case"] for row in json.loads(written.read_text())["results"]] == measured
    assert "attacks that reached something: 0 of 2" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["scripts", "guided"])
def test_only_the_results_of_the_same_model_can_be_continued(
    model: str, measured: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "results.json"
    if model == "scripts":
        report.run(
            Options("scripts:openai", ONE_CASE, json_file=path, history_file=None), print_line=str
        )
    with pytest.raises(CommandError, match="has no results of"):
        call_command(
            "eval_agent", "--model", model, "--continue", "--no-history", "--json", str(path)
        )


def test_cases_never_run_in_the_database_of_another_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DROVER_BENCH_TOKEN", raising=False)

    with pytest.raises(SystemExit, match="temporary installation"):
        measure.main()
