"""Fuzz the whole API document in process as every role, as a key and anonymously: no 5xx, nothing undocumented.

Longer, with every value at a boundary, and as one of them only: `DROVER_FUZZ_EXAMPLES=50 DROVER_FUZZ_AS=viewer`. Deterministic: the same code is asked the same things. Ids in paths are those of planted objects, so that
requests get past the look-up; each request is rolled back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from pytest_django.plugin import DjangoDbBlocker
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.isolation.cases import CASES
from tests.isolation.planted import Planted, plant
from tests.isolation.test_matrix import bearer_of

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = os.environ.get("DROVER_FUZZ_EXAMPLES")


def document() -> Any:
    config = SchemathesisConfig(seed=1)
    project = config.projects.default
    project.phases.update(phases=["coverage", "fuzzing"] if EXAMPLES else ["fuzzing"])
    project.phases.coverage.unexpected_methods = set()
    project.generation.deterministic = True
    project.generation.database = "none"
    project.generation.max_examples = int(EXAMPLES or 3)
    return schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", get_wsgi_application(), config=config
    )


schema = document()


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Planted]:
    with django_db_blocker.unblock(), transaction.atomic(), connection_kept():
        yield plant()
        transaction.set_rollback(True)


@contextmanager
def connection_kept() -> Iterator[None]:
    """Django closes a connection that is in a transaction when a request begins or ends; its test client
    prevents that the same way."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# Mostly as a caller who may do everything, because the other requests would end at the credential.
USUAL = "owner owner admin owner member owner viewer owner key owner anonymous"
ACTORS = os.environ.get("DROVER_FUZZ_AS", USUAL).split()
turn = count()


def ask(case: Any, planted: Planted) -> None:
    name = case.operation.definition.raw["operationId"]
    ids = {parameter: planted[thing] for parameter, thing in CASES[name].path.items()}
    case.path_parameters = {**(case.path_parameters or {}), **ids}
    actor = ACTORS[next(turn) % len(ACTORS)]
    with undone():
        headers = {"Authorization": bearer_of(actor, planted)} if actor != "anonymous" else {}
        response = case.call(headers=headers)
    away = name == "health_ready" and response.status_code == 503  # the suite has no worker
    stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
    passed_by = {response_schema_conformance} if stream else {not_a_server_error} if away else set()
    checks = [check for check in CHECKS if check not in passed_by]
    case.validate_response(response, checks=checks)


test_no_input_breaks_an_operation = schema.parametrize()(ask)
