"""The secrets of one installation. They are generated once, as files with mode 0600 in `DROVER_HOME/keys`."""

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from local.errors import LocalError


def _fernet_key() -> str:
    """Return a Fernet key: 32 random bytes, urlsafe base64 (github.com/fernet/spec)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


KEY_GENERATORS: dict[str, Callable[[], str]] = {
    "secret_key": lambda: secrets.token_urlsafe(48),
    "encryption_keys": _fernet_key,  # one per line, newest first
    "api_key_pepper": lambda: secrets.token_hex(32),
    "db_password": lambda: secrets.token_urlsafe(32),
    "demo_api_key": lambda: secrets.token_urlsafe(24),
    "demo_password": lambda: secrets.token_urlsafe(12),
}


def ensure_keys(folder: Path) -> list[str]:
    """Generate missing keys and return their names.

    An existing key is never changed, because data may be encrypted with it. Raises LocalError if the folder is not
    writable, or if a key file is empty, which can happen when a disk is full.
    """
    created = []
    for name, generate in KEY_GENERATORS.items():
        path = folder / name
        if path.exists():
            _check_and_restrict(path)
            continue
        write_private(path, generate() + "\n")
        created.append(name)
    return created


def read_key(folder: Path, name: str) -> str:
    """Return the content of one key file."""
    return (folder / name).read_text().strip()


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 atomically."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as refused:
        draft.unlink(missing_ok=True)
        raise LocalError(
            f"{path} could not be written ({refused.strerror}): free some space or fix the "
            "folder's owner, then try again."
        ) from refused


def _check_and_restrict(path: Path) -> None:
    if not path.read_text().strip():
        raise LocalError(
            f"The key file {path} is empty: restore it from a backup, or delete it if nothing was "
            "encrypted with it."
        )
    path.chmod(0o600)
