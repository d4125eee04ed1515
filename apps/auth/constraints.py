"""Which constraint of the database a statement has violated."""

from __future__ import annotations

import psycopg
from django.db import IntegrityError


def violates(error: IntegrityError, *constraints: str) -> bool:
    """Return whether the error is about one of these constraints. A name must be complete."""
    return isinstance(error.__cause__, psycopg.Error) and (
        error.__cause__.diag.constraint_name in constraints
    )


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether the error is about a value that must be unique."""
    return isinstance(error.__cause__, psycopg.errors.UniqueViolation)
