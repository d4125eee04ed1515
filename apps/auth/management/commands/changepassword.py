from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from apps.auth import accounts


class Command(changepassword.Command):
    """Set the password of a user, by address. All sessions end, and links that were mailed before stop working."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> str:
        said = str(super().handle(*args, **options))  # Raises if no password was set.
        accounts.note_changed_password(email=options["username"])
        return said
