from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.auth import factors
from apps.auth.models import User


class Command(BaseCommand):
    """Take the second factors of someone who lost them, recovery codes included. Make sure who asks: afterwards
    the password alone logs in. All their sessions end, and they are told by mail."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="of a member or an operator")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.strip().lower(), kind=User.Kind.PERSON).first()
        if user is None:
            raise CommandError(f"Nobody here has the address {email!r}.")
        if not factors.reset(user):
            raise CommandError(f"{user.email} has no second factor.")
        self.stdout.write(f"{user.email} has no second factor now; all their sessions have ended.")
