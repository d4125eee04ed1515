"""The platform's own keys: what belongs to no org is sealed with them, and each org's data key is wrapped by them."""

from __future__ import annotations

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


@lru_cache(maxsize=1)
def _platform(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def platform() -> MultiFernet:
    """The platform's keys, newest first; the newest wraps, all unwrap."""
    return _platform(tuple(settings.ENCRYPTION_KEYS))


def rewrap(sealed: str) -> str:
    """The same content under the newest platform key."""
    return platform().rotate(sealed.encode()).decode()


def is_newest(sealed: str) -> bool:
    """Whether the newest platform key sealed this."""
    try:
        Fernet(settings.ENCRYPTION_KEYS[0]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True
