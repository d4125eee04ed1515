"""Object storage: a folder, an S3 bucket or a Google Cloud Storage bucket, behind one interface.

A write is atomic, and durable when it returns. `swap` replaces an object only if no other process has replaced
it since it was read.
"""

from __future__ import annotations

import contextlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True, slots=True)
class Entry:
    """An object found by `Store.entries`; `key` is relative to the store."""

    key: str
    size: int
    modified: datetime


class SwapConflict(Exception):
    """Another process has replaced the object since it was read."""


class Draft(ABC):
    """A new object that is written in parts. Nobody can read it before `commit`. It is used by one thread at a time."""

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Append bytes."""

    @abstractmethod
    def flush(self) -> None:
        """Store everything that was written, so that `commit` is quick."""

    @abstractmethod
    def commit(self) -> None:
        """Create or replace the object."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was written, unless it was committed. Safe to call twice."""


class Store(ABC):
    """Objects by key below one prefix. Methods raise DestinationError, AuthenticationError and ConfigurationError."""

    @abstractmethod
    def full_key(self, key: str) -> str:
        """Return the key with the store's own prefix."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Create or replace an object."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """Return the object's bytes, or None if it does not exist."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """Return the object's size in bytes, or None if it does not exist."""

    @abstractmethod
    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Copy objects to new keys. Both keys may share their bytes, so objects are never modified in place.

        Raises FileNotFoundError when a source does not exist.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects. A missing object is not an error."""

    @abstractmethod
    def entries(self, prefix: str) -> Iterator[Entry]:
        """Yield every object whose key starts with `prefix`, which ends in a slash."""

    @abstractmethod
    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """Return the object and its version for `swap`, or None if it does not exist."""

    @abstractmethod
    def swap(self, key: str, data: bytes, version: str | None) -> None:
        """Replace the object if it still has that version (None: create it). Raises SwapConflict."""

    @abstractmethod
    def draft(self, key: str, scratch_key: str) -> Draft:
        """Begin to write an object in parts. A folder keeps the parts at `scratch_key` until they are committed."""

    @abstractmethod
    def discard_drafts(self, prefix: str, scratch_prefix: str, *, before: datetime) -> None:
        """Remove drafts that a crashed process has left and that nobody has written to since `before`."""

    @contextlib.contextmanager
    def sink(self, key: str) -> Iterator[BinaryIO]:
        """Open a file to write the object to. The object appears when the block ends without an exception."""
        buffer = io.BytesIO()
        yield buffer
        self.write(key, buffer.getvalue())

    @property
    def is_local(self) -> bool:
        """Whether `path_or_bytes` reads nothing."""
        return False

    def path_or_bytes(self, key: str) -> Path | bytes:
        """Return what polars can read: the path of a local object, else its bytes. Raises FileNotFoundError."""
        data = self.read(key)
        if data is None:
            raise FileNotFoundError(key)
        return data

    def close(self) -> None:  # noqa: B027 - most stores have no connection
        """Close connections."""
