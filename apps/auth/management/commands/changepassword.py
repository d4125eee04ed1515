from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import changepassword

from apps.auth import accounts


class Command(changepassword.Command):
    """Set the password of someone, by address. All their sessions end, and links on their way stop working."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> str:
        said = str(super().handle(*args, **options))  # raises when no password was set
        accounts.note_changed_password(email=options["username"])
        return said
