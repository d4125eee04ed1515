"""`python -m evaluations.measure`: run cases in the database of the environment, and print each result as a line of JSON.

Reads a `Plan` as JSON from the standard input.
"""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Plan:
    """Which cases are run with which model, and how often."""

    model: str
    cases: list[str]
    repeat: int = 1
    judge: str = ""  # provider:name

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))


def main() -> None:
    require_temporary_installation()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django
    from django.test.utils import setup_test_environment

    django.setup()
    setup_test_environment()  # allows the host of the test client
    from evaluations.cases import all_cases
    from evaluations.judge import find_judge
    from evaluations.models import find_model
    from evaluations.running import run_case

    plan = Plan(**orjson.loads(sys.stdin.buffer.read()))
    model, judge = find_model(plan.model), find_judge(plan.judge)
    chosen = [case for case in all_cases() if case.name in plan.cases]
    for _ in range(plan.repeat):
        for case in chosen:
            _print(run_case(case, model, judge).as_json())


def require_temporary_installation() -> None:
    """End the program in any other installation: the cases create orgs, and do what attackers ask for."""
    if "DROVER_BENCH_TOKEN" not in os.environ:
        raise SystemExit("Run manage.py eval_agent: it runs the cases in a temporary installation.")


def _print(row: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
