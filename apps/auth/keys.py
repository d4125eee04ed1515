"""API keys: `drv_<prefix>_<secret>_<crc>`.

The row stores three values: the prefix, which finds the row; a bcrypt hash; and an 8-byte keyed tag. A wrong secret is
rejected by the tag, without computing a bcrypt hash. A correct secret is checked with bcrypt, and then for a few
minutes by a cache of verified keys. Tag and cache are safe, because the secret has 256 bits and the database does
not store the pepper.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass

import bcrypt
from django.conf import settings

SCHEME = "drv_"
BCRYPT_COST = 12
CACHE_SECONDS = 300.0
CACHE_SIZE = 10_000
_KEY_PATTERN = re.compile(r"drv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just created. `text` is shown only once and not stored; the other fields are stored."""

    text: str
    prefix: str
    hash: str
    tag: bytes


def generate() -> NewKey:
    """Generate a key; computes one bcrypt hash (about 0.3 s)."""
    prefix = secrets.token_hex(6)
    body = f"{SCHEME}{prefix}_{secrets.token_urlsafe(32)}"
    text = f"{body}_{_checksum(body)}"
    hashed = bcrypt.hashpw(_prehash(text), bcrypt.gensalt(BCRYPT_COST)).decode()
    return NewKey(text=text, prefix=prefix, hash=hashed, tag=_tag(text))


def parse_prefix(text: str) -> str | None:
    """Return the prefix of a key. Returns None if the text is not a well-formed key."""
    match = _KEY_PATTERN.fullmatch(text)
    if match is None or _checksum(text.rpartition("_")[0]) != match[3]:
        return None
    return match[1]


def matches(text: str, *, hashed: str, tag: bytes, version: int) -> bool:
    """Whether `text` is the key with this hash and tag. The caller must check revocation and expiry.

    `version` is the row's version: a verification that is cached for another version does not count.
    """
    if not hmac.compare_digest(_tag(text), tag):
        return False
    mac = _mac(text, b"verified:%d:" % version + hashed.encode())
    if _verified_keys.holds(mac):
        return True
    if not bcrypt.checkpw(_prehash(text), hashed.encode()):
        return False
    _verified_keys.add(mac)
    return True


class _VerifiedKeys:
    """A cache of recently verified keys, stored as MACs. Their number and age are limited."""

    def __init__(self) -> None:
        self._expiry_times: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, mac: bytes) -> bool:
        with self._lock:
            return self._expiry_times.get(mac, 0.0) > time.monotonic()

    def add(self, mac: bytes) -> None:
        with self._lock:
            self._expiry_times[mac] = time.monotonic() + CACHE_SECONDS
            self._expiry_times.move_to_end(mac)
            while len(self._expiry_times) > CACHE_SIZE:
                self._expiry_times.popitem(last=False)


_verified_keys = _VerifiedKeys()


def _mac(text: str, purpose: bytes) -> bytes:
    return hmac.digest(settings.API_KEY_PEPPER.encode(), purpose + b"|" + text.encode(), "sha256")


def _tag(text: str) -> bytes:
    return _mac(text, b"tag")[:8]


def _prehash(text: str) -> bytes:
    """Hash the whole key, because bcrypt ignores all bytes after the first 72."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest())


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
