from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Check everything Drover needs, and print the next step for each problem. The exit code is 1 if a check fails."""

    help = __doc__ or ""
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.orgs.operators import diagnosis
        from apps.orgs.operators.findings import print_findings

        print_findings(list(diagnosis.run_checks()), self)
