"""Run the evaluations in a temporary installation, print the table, and write JSON and the history."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.scratch import ROOT, temporary_installation
from evaluations import models
from evaluations.case import Case, Group
from evaluations.cases import all_cases
from evaluations.measure import Plan
from evaluations.models import EvaluatedModel, UnknownModel
from evaluations.running import Result
from evaluations.table import Prices, Report

__all__ = [
    "HISTORY",
    "NoSuchCase",
    "NothingToContinue",
    "Options",
    "Prices",
    "UnknownModel",
    "choose_cases",
    "run",
]
HISTORY = ROOT / "evaluations" / "history.jsonl"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `manage.py eval_agent`."""

    model: str = ""  # empty: the model of the environment, or guided mode
    only: Sequence[str] = ()  # parts of the names of cases and groups
    repeat: int = 1
    judge: str = ""  # provider:name of a model that judges the wording of answers
    prices: Prices | None = None
    json_file: Path | None = None
    continues: bool = False  # whether the cases whose results are in `json_file` are not run again
    history_file: Path | None = HISTORY


class NoSuchCase(Exception):
    """No case has a name that contains this text, and no group has this name."""

    def __init__(self, text: str) -> None:
        super().__init__(f"There is no case or group {text!r}. Groups: {', '.join(Group)}.")


class NothingToContinue(Exception):
    """The file has no results of this model."""

    def __init__(self, path: Path | None, model: str) -> None:
        super().__init__(
            f"{path} has no results of {model}. Name its file with --json, and the same --model."
        )


def run(options: Options, *, print_line: Callable[[str], object]) -> bool:
    """Run the chosen cases and print the table. Returns False if the product let something through."""
    model = models.find_model(options.model or models.configured_label())
    if options.judge:
        models.require_provider(options.judge)
    chosen = choose_cases(options.only)
    results = _earlier_results(options, model.label) if options.continues else []
    done = {result.case for result in results}
    tried = [case for case in chosen if model.can_try(case)]
    left = [case for case in tried if case.name not in done]
    print_line(f"{model.label}: {len(tried)} of {len(chosen)} cases, {options.repeat} times")
    if done:
        print_line(f"  {len(done)} cases were run before")
    reported = [case for case in all_cases() if case in chosen or case.name in done]
    report = Report(
        model.label, _commit(), options.repeat, options.prices, reported, options.only, results
    )
    for result in _measure(model, left, options) if left else ():
        report.results.append(result)
        print_line(_result_line(result))
        _write_json(report, options)
    for line in report.lines():
        print_line(line)
    _write_json(report, options)
    _add_to_history(report, options)
    return report.is_safe


def _earlier_results(options: Options, model: str) -> list[Result]:
    """Return the results in the file of all cases that were run as often as they should. Raises NothingToContinue."""
    path = options.json_file
    if path is None or not path.exists():
        raise NothingToContinue(path, model)
    written = orjson.loads(path.read_bytes())
    if written["model"] != model:
        raise NothingToContinue(path, model)
    results = [Result(**row) for row in written["results"]]
    times = Counter(result.case for result in results)
    return [result for result in results if times[result.case] >= options.repeat]


def choose_cases(only: Sequence[str]) -> list[Case]:
    """Return the cases whose name or group contains one of the texts; all cases without texts. Raises NoSuchCase."""
    cases = all_cases()
    for text in only:
        if not any(text in (case.group, case.name) or text in case.name for case in cases):
            raise NoSuchCase(text)
    return [
        case
        for case in cases
        if not only or any(text == case.group or text in case.name for text in only)
    ]


def _measure(model: EvaluatedModel, cases: Sequence[Case], options: Options) -> Iterator[Result]:
    """Run the cases in a process of their own, in a temporary installation, and yield each result."""
    names = [case.name for case in cases]
    plan = Plan(model.label, names, options.repeat, options.judge)
    with temporary_installation() as installation:
        environment = {**installation.environment, **models.environment_of(model.label)}
        yield from _run_process(plan, environment)


def _run_process(plan: Plan, environment: Mapping[str, str]) -> Iterator[Result]:
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluations.measure"],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - for mypy
    assert process.stdout is not None  # noqa: S101 - for mypy
    try:
        process.stdin.write(plan.to_json())
        process.stdin.close()
        for line in process.stdout:
            yield Result(**orjson.loads(line))
    finally:
        process.terminate()
        process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the process of the cases ended with exit code {process.returncode}")


def _result_line(result: Result) -> str:
    state = "passed" if result.passed else "failed"
    reasons = [*result.violations, result.harm, *result.problems]
    reason = next((text for text in reasons if text), "")
    return f"  {state} {result.seconds:6.1f} s  {result.case}  {reason[:150]}".rstrip()


def _commit() -> str:
    """Return the commit of the checkout, with a plus sign if files have changed since then."""
    try:
        commit = _git("rev-parse", "--short=10", "HEAD")
        return f"{commit}+" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _write_json(report: Report, options: Options) -> None:
    """Write the results that there are. An interruption leaves the file as it was before, or complete."""
    if options.json_file is not None:
        new_file = options.json_file.with_name(f"{options.json_file.name}.new")
        new_file.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
        new_file.replace(options.json_file)


def _add_to_history(report: Report, options: Options) -> None:
    if options.history_file is not None:
        with options.history_file.open("ab") as history:
            history.write(orjson.dumps(report.summary()) + b"\n")
