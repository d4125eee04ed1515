from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.orgs.roles import TABLE, Role


class Command(BaseCommand):
    """Print the permissions of each role, as a Markdown table."""

    help = __doc__ or ""
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        width = max(len(permission.value) for permission in TABLE)
        headings = [role.value for role in Role]
        self._row("permission".ljust(width), headings)
        self._row("-" * width, ["-" * len(head) for head in headings])
        for permission, roles in TABLE.items():
            cells = [("x" if role in roles else " ").center(len(role.value)) for role in Role]
            self._row(permission.value.ljust(width), cells)

    def _row(self, first: str, cells: list[str]) -> None:
        self.stdout.write(f"| {first} | {' | '.join(cells)} |")
