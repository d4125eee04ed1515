"""Where files are kept: a folder, an S3 bucket or a Google Cloud Storage bucket, behind one interface.

Objects become visible whole or not at all, and are durable once a write returns. `swap` replaces an
object only if nobody else did since it was read.
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
    """Somebody else replaced the object since it was read."""


class Store(ABC):
    """Objects by key below one prefix. Failures are DestinationError, AuthenticationError, ConfigurationError."""

    @abstractmethod
    def full_key(self, key: str) -> str:
        """The key with the store's own prefix."""

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Create or replace an object."""

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """The object's bytes, or None when there is none."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """The object's size in bytes, or None when there is none."""

    @abstractmethod
    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Give objects a second key; both may share their bytes, so neither is ever written in place.

        Raises FileNotFoundError when a source is gone.
        """

    @abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are gone already are no error."""

    @abstractmethod
    def entries(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key starts with `prefix`, which ends in a slash."""

    @abstractmethod
    def read_version(self, key: str) -> tuple[bytes, str] | None:
        """The object and a mark of its version for `swap`, or None when there is none."""

    @abstractmethod
    def swap(self, key: str, data: bytes, version: str | None) -> None:
        """Replace the object of that version (None: create it). Raises SwapConflict."""

    @contextlib.contextmanager
    def sink(self, key: str) -> Iterator[BinaryIO]:
        """A file to write the object to; it appears when the block ends without an exception."""
        buffer = io.BytesIO()
        yield buffer
        self.write(key, buffer.getvalue())

    def readable(self, key: str) -> Path | bytes:
        """What polars' readers take: the path of a local object, else its bytes. Raises FileNotFoundError."""
        data = self.read(key)
        if data is None:
            raise FileNotFoundError(key)
        return data

    def close(self) -> None:  # noqa: B027 - most stores hold nothing
        """Release connections."""
