"""Find what reads an uploaded file: connectors of the source `files`, and whatever other apps register."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from django.utils.module_loading import autodiscover_modules

from apps.connectors.models import Connector, ConnectorRole
from apps.engine.file_patterns import is_pattern, matches
from apps.orgs.models import Org

KIND = "files"


@dataclass(frozen=True, slots=True)
class FileReader:
    """An object that reads files: its setting `path` is the name of a file, a pattern or a web address."""

    type: str  # connector or pipeline
    id: UUID
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class FileUser:
    """An object that reads one file, by its name or by a pattern."""

    type: str
    id: UUID
    name: str
    by_pattern: bool


FindReaders = Callable[[Org], Iterable[FileReader]]
_finders: list[FindReaders] = []


def add_finder(find_readers: FindReaders) -> FindReaders:
    """Register a function that returns readers of another app. It makes one query."""
    _finders.append(find_readers)
    return find_readers


@cache
def _import_registrations() -> None:
    """Import every app's `file_readers.py` once."""
    autodiscover_modules("file_readers")


def find_users(org: Org, names: Sequence[str]) -> dict[str, list[FileUser]]:
    """Return what reads each of these files, ordered by name."""
    _import_registrations()
    readers = [*_connectors(org), *(reader for find in _finders for reader in find(org))]
    readers.sort(key=lambda reader: (reader.name, str(reader.id)))
    found: dict[str, list[FileUser]] = {name: [] for name in names}
    for reader in readers:
        by_pattern = is_pattern(reader.path)
        read_names = (
            (name for name in found if matches(reader.path, name))
            if by_pattern
            else [reader.path] * (reader.path in found)
        )
        for name in read_names:
            found[name].append(FileUser(reader.type, reader.id, reader.name, by_pattern))
    return found


def _connectors(org: Org) -> Iterable[FileReader]:
    rows = Connector.objects.for_org(org).filter(role=ConnectorRole.SOURCE, kind=KIND)
    for pk, name, path in rows.values_list("id", "name", "config__path"):
        yield FileReader("connector", pk, name, str(path or ""))
