"""`make eval` runs the evaluations in a temporary installation, prints the table, and writes its files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from evaluations import measure
from evaluations.report import HISTORY
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


def test_cases_never_run_in_the_database_of_another_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DROVER_BENCH_TOKEN", raising=False)

    with pytest.raises(SystemExit, match="temporary installation"):
        measure.main()
