"""Encryption with the platform's keys: for each org's data key, and for secrets that belong to no org."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


@lru_cache(maxsize=1)
def _load_platform_keys(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def platform_keys() -> MultiFernet:
    """Return the platform's keys. The first, newest key encrypts; all keys can decrypt."""
    return _load_platform_keys(tuple(settings.ENCRYPTION_KEYS))


def reencrypt_with_newest_key(sealed: str) -> str:
    """Decrypt the text, and encrypt its content with the newest platform key."""
    return platform_keys().rotate(sealed.encode()).decode()


def uses_newest_key(sealed: str) -> bool:
    """Whether the text was encrypted with the newest platform key."""
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True
