from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.orgs.exceptions import NotFound
from apps.orgs.operators.accounts import reset_second_factor


class Command(BaseCommand):
    """Take the second factors of someone who lost them, recovery codes included. Make sure who asks: afterwards
    the password alone logs in. All their sessions end, and they are told by mail."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="e-mail address of a member or an operator")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        try:
            removed = reset_second_factor(email=email)
        except NotFound:
            raise CommandError(f"No account has the address {email!r}.") from None
        if not removed:
            raise CommandError(f"{email} has no second factor.")
        self.stdout.write(f"{email} has no second factor now; all their sessions have ended.")
