"""API keys: `drv_<prefix>_<secret>_<crc>`.

The row has the prefix (for look-up), a bcrypt hash (the canonical check) and an 8-byte keyed tag. The tag
rejects a wrong secret without bcrypt, and a cache of verified keys makes later checks fast. Both are safe,
because the secret has 256 bits and the pepper is not stored in the database.
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
_SHAPE = re.compile(r"drv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just created. `text` is shown only once; the rest is stored."""

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


def prefix_of(text: str) -> str | None:
    """Return the prefix of a well-formed key, None for a mistyped or invalid one."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or _checksum(text.rpartition("_")[0]) != shape[3]:
        return None
    return shape[1]


def matches(text: str, *, hashed: str, tag: bytes, version: int) -> bool:
    """Whether this is the key of that row. The caller checks revocation and expiry each time."""
    if not hmac.compare_digest(_tag(text), tag):
        return False
    proof = _mac(text, b"verified:%d:" % version + hashed.encode())
    if _verified.holds(proof):
        return True
    if not bcrypt.checkpw(_prehash(text), hashed.encode()):
        return False
    _verified.add(proof)
    return True


class _Verified:
    """Recently verified keys, as MACs; limited in number and age."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, proof: bytes) -> bool:
        with self._lock:
            return self._until.get(proof, 0.0) > time.monotonic()

    def add(self, proof: bytes) -> None:
        with self._lock:
            self._until[proof] = time.monotonic() + CACHE_SECONDS
            self._until.move_to_end(proof)
            while len(self._until) > CACHE_SIZE:
                self._until.popitem(last=False)


_verified = _Verified()


def _mac(text: str, purpose: bytes) -> bytes:
    return hmac.digest(settings.API_KEY_PEPPER.encode(), purpose + b"|" + text.encode(), "sha256")


def _tag(text: str) -> bytes:
    return _mac(text, b"tag")[:8]


def _prehash(text: str) -> bytes:
    """Hash the whole key, because bcrypt reads only 72 bytes."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest())


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
