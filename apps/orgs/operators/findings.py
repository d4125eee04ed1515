"""Print the findings of a command that checks an installation."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.management.base import BaseCommand

from apps.background.health import Finding


def print_findings(findings: Sequence[Finding], command: BaseCommand) -> None:
    """Print each finding, and the next step for each problem. Raises SystemExit with code 1 if there is a problem."""
    write, style = command.stdout.write, command.style
    width = max(len(finding.part) for finding in findings)
    for finding in findings:
        outcome = style.SUCCESS("ok    ") if finding.ok else style.ERROR("failed")
        write(f"{outcome}  {finding.part.ljust(width)}  {finding.seen}")
        if not finding.ok:
            write(f"        {' ' * width}  -> {finding.next_step}")
    failed = sum(not finding.ok for finding in findings)
    if failed:
        write(f"{failed} of {len(findings)} checks failed.")
        raise SystemExit(1)
    write("All checks passed.")
