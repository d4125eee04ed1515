from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from apps.auth import sessions
from apps.auth.models import User


class Command(changepassword.Command):
    """Set the password of someone, by address. All their sessions end, and links on their way stop working."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> str:
        said = str(super().handle(*args, **options))  # raises when no password was set
        user = User.objects.get_by_natural_key(options["username"])
        sessions.end_all(user.pk, reason="password change")
        return said
