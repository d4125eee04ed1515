"""A database to read from and to write to."""

from tests.engine.conftest import engine_postgres
from tests.engine.sources.conftest import database, reader_role

__all__ = ["database", "engine_postgres", "reader_role"]
