"""Passwords for commands: read from a file, or generated."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from django.core.management.base import CommandError

from apps.auth.accounts import password_faults


def new_password(file: str | None, email: str) -> str:
    """Return the first line of `file` (`-` is stdin), or a random password. Raises CommandError for a weak one."""
    if file is None:
        return secrets.token_urlsafe(15)
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    password = text.partition("\n")[0]
    if faults := password_faults(password, email=email, name=""):
        raise CommandError(" ".join(faults))
    return password
