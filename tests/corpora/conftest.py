"""The corpora use the engine's server, its state schema and its supervisor."""

from tests.engine.conftest import engine_postgres, make_rehearsal, state_dsn, supervisor

__all__ = ["engine_postgres", "make_rehearsal", "state_dsn", "supervisor"]
