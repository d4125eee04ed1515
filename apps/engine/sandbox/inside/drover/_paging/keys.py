"""The keys of records, by which pages with the same records are found."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from drover._paging.paths import MISSING, find
from drover._paging.trails import digest

NAMES = ("id", "_id", "uuid", "guid")


def keys_of(records: Sequence[Any], primary_key: Sequence[str]) -> list[Any]:
    """Return the key of each record, or an empty list if there are records without one.

    Without a declared key, several records with different ids are taken for records with keys.
    """
    if primary_key:
        keys = [[_field(record, name) for name in primary_key] for record in records]
        return keys if all(None not in key for key in keys) else []
    for name in NAMES:
        ids = [str(_field(record, name)) for record in records]
        if len(set(ids)) == len(records) > 1 and str(None) not in ids:
            return ids
    return []


def digests_of(records: Sequence[Any], primary_key: Sequence[str]) -> list[str]:
    """Return digests of the keys of the records, or of the records if they have no keys."""
    return [digest(key) for key in keys_of(records, primary_key) or records]


def comparable_digests(
    first: Sequence[Any], other: Sequence[Any], primary_key: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Return digests of the records of two pages, by which the same records are found on both."""
    names = (name for name in NAMES if all(_field(record, name) for record in (*first, *other)))
    key = list(primary_key) or list(islice(names, 1))
    return digests_of(first, key), digests_of(other, key)


def content_of(records: Sequence[Any], primary_key: Sequence[str]) -> str:
    """Return a digest of a page, whatever the order of its records is."""
    return digest(sorted(digests_of(records, primary_key)))


def has_id(record: Any) -> bool:
    return any(_field(record, name) is not None for name in NAMES)


def _field(record: Any, name: str) -> Any:
    if type(record) is dict and name in record:
        return record[name]
    found = find(record, name)
    return None if found is MISSING else found
