"""`manage.py bench`: measure Drover's performance targets on this machine."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

NAMES = (
    "start",
    "engine",
    "data",
    "tables",
    "list",
    "dashboard",
    "keys",
    "streams",
    "memory",
    "sandbox",
    "size",
    "alerts",
    "agent",
)
AGENT_PARTS = ("agent-streams", "agent-turns", "agent-memory", "agent-token")


class Command(BaseCommand):
    help = (
        "Compare Drover with the tools it replaces, by medians of paired measurements. Starts a temporary "
        "PostgreSQL and servers on loopback and removes them; does not change this installation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names",
            nargs="*",
            metavar="NAME",
            help=(
                f"What to measure: {', '.join(NAMES)} (default: all, about 30 minutes on two cores). "
                f"Parts of agent: {', '.join(AGENT_PARTS)}."
            ),
        )
        parser.add_argument(
            "--rounds",
            type=int,
            default=3,
            help="Number of paired measurements per figure (default: 3).",
        )

    def handle(self, *args: Any, names: list[str], rounds: int, **options: Any) -> None:
        known = (*NAMES, *AGENT_PARTS)
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise CommandError(
                f"There is no measurement {unknown[0]!r}: choose {', '.join(known)}."
            )
        if rounds < 1:
            raise CommandError("--rounds must be at least 1.")
        try:
            from bench import report
        except ImportError as missing:
            raise CommandError(
                f"{missing.name} is not installed: `make install-dev` installs the tools to compare with."
            ) from missing
        if not report.run(names or list(NAMES), rounds=rounds, print_line=self.stdout.write):
            raise CommandError("Some figures missed their target; see the table.")
