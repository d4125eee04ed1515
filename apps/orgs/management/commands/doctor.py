from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Check everything Drover needs, and print the next step for each problem. The exit code is 1 if a check fails."""

    help = __doc__ or ""
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.orgs.operators import diagnosis

        findings = list(diagnosis.run_checks())
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            outcome = self.style.SUCCESS("ok    ") if finding.ok else self.style.ERROR("failed")
            self.stdout.write(f"{outcome}  {finding.part.ljust(width)}  {finding.seen}")
            if not finding.ok:
                self.stdout.write(f"        {' ' * width}  -> {finding.next_step}")
        failed = sum(not finding.ok for finding in findings)
        if failed:
            self.stdout.write(f"{failed} of {len(findings)} checks failed.")
            raise SystemExit(1)
        self.stdout.write("All checks passed.")
