"""Which constraint of the database a statement has violated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import IntegrityError, transaction


@contextmanager
def refused_as(error: Exception | type[Exception], *constraints: str) -> Iterator[None]:
    """Run statements in a transaction or savepoint, and raise `error` if they violate one of these constraints."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as violation:
        if not violates(violation, *constraints):
            raise
        raise error from None


def violates(error: IntegrityError, *constraints: str) -> bool:
    """Return whether the error is about one of these constraints. A name must be complete."""
    return isinstance(error.__cause__, psycopg.Error) and (
        error.__cause__.diag.constraint_name in constraints
    )


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether the error is about a value that must be unique."""
    return isinstance(error.__cause__, psycopg.errors.UniqueViolation)
