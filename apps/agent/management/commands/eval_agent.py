"""`manage.py eval_agent`: evaluate the agent with a language model, guided mode or the scripts of the cases."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = (
        "Let a model answer the cases of the evaluations, and print how many it passed, with tokens, seconds and"
        " cost. Starts a temporary PostgreSQL and removes it; does not change this installation. Needs a checkout."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            default="",
            help="provider:name, guided, scripts or scripts:provider (default: DROVER_MODEL, or guided). The key and"
            " the address of a model are read from DROVER_MODEL_KEY and DROVER_MODEL_URL.",
        )
        parser.add_argument(
            "--only", nargs="+", default=[], help="A group, or parts of the names of cases."
        )
        parser.add_argument("--repeat", type=int, default=1, help="Run each case so many times.")
        parser.add_argument(
            "--json", type=Path, help="Write all results to this file, after each case."
        )
        parser.add_argument(
            "--continue",
            action="store_true",
            dest="continues",
            help="Keep the results in the file of --json, and run only the cases that are not in it, or not as often as"
            " --repeat says.",
        )
        parser.add_argument(
            "--history",
            type=Path,
            help="Add a line to this file (default: evaluations/history.jsonl, but not with --only).",
        )
        parser.add_argument("--no-history", action="store_true", help="Add no line to the history.")
        parser.add_argument(
            "--judge",
            default="",
            help="provider:name of a model that judges the wording of answers. It does not change the score. Its key"
            " and address are read from DROVER_JUDGE_KEY and DROVER_JUDGE_URL.",
        )
        for direction in ("in", "out"):
            parser.add_argument(
                f"--price-{direction}", type=float, help=f"Price of a million tokens {direction}."
            )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from evaluations import report
        except ImportError as missing:
            raise CommandError(
                f"{missing.name} is not installed. The evaluations need a checkout and `make install-dev`."
            ) from missing
        if options["repeat"] < 1:
            raise CommandError("--repeat must be at least 1.")
        try:
            is_safe = report.run(_read_options(options), print_line=self.stdout.write)
        except (report.NoSuchCase, report.NothingToContinue, report.UnknownModel) as problem:
            raise CommandError(str(problem)) from problem
        if not is_safe:
            raise CommandError("Drover let something through that it must prevent; see the table.")


def _read_options(options: dict[str, Any]) -> Any:
    from evaluations import report

    prices = (options["price_in"], options["price_out"])
    if (prices[0] is None) != (prices[1] is None):
        raise CommandError("Give --price-in and --price-out together.")
    default_history = None if options["no_history"] or options["only"] else report.HISTORY
    return report.Options(
        model=options["model"],
        only=options["only"],
        repeat=options["repeat"],
        judge=options["judge"],
        prices=None if prices[0] is None else report.Prices(*prices),
        json_file=options["json"],
        continues=options["continues"],
        history_file=options["history"] or default_history,
    )
