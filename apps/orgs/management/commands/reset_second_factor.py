from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.orgs.exceptions import NotFound
from apps.orgs.operators.accounts import reset_second_factor


class Command(BaseCommand):
    """Remove all second factors of a user who lost them, including the recovery codes. First verify the identity of
    the person who requests this, because the password alone is enough to log in afterwards. All sessions of the
    user end, and the user is notified by mail."""

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
