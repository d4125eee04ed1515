from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.orgs.roles import ROLES_BY_PERMISSION, Role


class Command(BaseCommand):
    """Print the permissions of each role, as a Markdown table."""

    help = __doc__ or ""
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        width = max(len(permission.value) for permission in ROLES_BY_PERMISSION)
        headings = [role.value for role in Role]
        self._print_row("permission".ljust(width), headings)
        self._print_row("-" * width, ["-" * len(heading) for heading in headings])
        for permission, roles in ROLES_BY_PERMISSION.items():
            cells = [("x" if role in roles else " ").center(len(role.value)) for role in Role]
            self._print_row(permission.value.ljust(width), cells)

    def _print_row(self, first_cell: str, cells: list[str]) -> None:
        self.stdout.write(f"| {first_cell} | {' | '.join(cells)} |")
