"""The platform's keys: they encrypt secrets that belong to no org, and each org's data key."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


@lru_cache(maxsize=1)
def _platform(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def platform() -> MultiFernet:
    """Return the platform's keys, newest first; the newest encrypts, all can decrypt."""
    return _platform(tuple(settings.ENCRYPTION_KEYS))


def rewrap(sealed: str) -> str:
    """Encrypt the same content with the newest platform key."""
    return platform().rotate(sealed.encode()).decode()


def is_newest(sealed: str) -> bool:
    """Whether the text was encrypted with the newest platform key."""
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True
