"""One server for the tests of this folder that need some PostgreSQL but not one of their own."""

from collections.abc import Iterator

import pytest

from local.postgres import EmbeddedPostgres, temporary_postgres


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server
