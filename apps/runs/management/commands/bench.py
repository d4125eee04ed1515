"""`manage.py bench`: the figures Drover is held to, measured on this machine."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

NAMES = ("start", "engine", "list", "keys", "streams", "memory", "sandbox")


class Command(BaseCommand):
    help = (
        "Measure Drover against what it replaces: paired, in one run, medians. Starts a scratch "
        "PostgreSQL and servers on loopback and removes them; touches nothing of this installation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help=f"What to measure: {', '.join(NAMES)} (default: all, about 15 minutes on two cores).",
        )
        parser.add_argument("--rounds", type=int, default=3, help="Pairs a figure (default: 3).")

    def handle(self, *args: Any, names: list[str], rounds: int, **options: Any) -> None:
        unknown = sorted(set(names) - set(NAMES))
        if unknown:
            raise CommandError(
                f"There is no measurement {unknown[0]!r}: choose {', '.join(NAMES)}."
            )
        if rounds < 1:
            raise CommandError("--rounds must be at least 1.")
        try:
            from bench import report
        except ImportError as missing:
            raise CommandError(
                f"{missing.name} is not installed: `make install-dev` installs what the bench compares with."
            ) from missing
        if not report.run(names or list(NAMES), rounds=rounds, say=self.stdout.write):
            raise CommandError("Some figures missed their bar; see the table.")
