from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    """Check everything Drover needs, and print the next step for each problem. The exit code is 1 if a check fails."""

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--send-test",
            action="store_true",
            help="only send a test to the operators, and print the answers",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.orgs.operators import diagnosis
        from apps.orgs.operators.findings import print_findings

        findings = diagnosis.send_tests() if options["send_test"] else diagnosis.run_checks()
        print_findings(list(findings), self)
