from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from apps.auth import accounts


class Command(changepassword.Command):
    """Set the password of the user with this address. All sessions end, and earlier mailed links stop working."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> str:
        result = str(super().handle(*args, **options))  # Raises if no password was set.
        accounts.end_sessions_after_password_change(email=options["username"])
        return result
