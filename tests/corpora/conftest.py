"""The corpora use the engine's server, its state schema, its supervisor, and a database to read from."""

from tests.engine.conftest import engine_postgres, make_rehearsal, state_dsn, supervisor
from tests.engine.sources.conftest import database, reader_role

__all__ = [
    "database",
    "engine_postgres",
    "make_rehearsal",
    "reader_role",
    "state_dsn",
    "supervisor",
]
