"""Read the password of a new account from a file, or generate one, for commands."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from django.core.management.base import CommandError

from apps.auth.accounts import password_faults


def read_or_generate_password(path: str | None, email: str) -> str:
    """Return the first line of the file at `path` (`-` is stdin), or a random password if `path` is None.

    Raises CommandError if the file cannot be read or its password is too weak.
    """
    if path is None:
        return secrets.token_urlsafe(15)
    try:
        text = sys.stdin.readline() if path == "-" else Path(path).read_text()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    password = text.partition("\n")[0]
    if faults := password_faults(password, email=email, name=""):
        raise CommandError(" ".join(faults))
    return password
