from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Write docs/reference/openapi.yaml, from which the front end's types are generated."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail if the file is out of date")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.web import openapi  # Imports every view.

        current = openapi.as_yaml()
        path = openapi.COMMITTED_FILE
        if options["check"]:
            if not path.exists() or path.read_text() != current:
                raise CommandError(f"{path} is out of date: run `manage.py export_openapi`.")
            self.stdout.write(f"{path} is up to date.")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(current)
        self.stdout.write(f"Wrote {path}.")
