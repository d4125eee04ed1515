"""Fuzz every operation of the API document as every role, with a key and anonymously.

No request may cause a 5xx or an undocumented response. `DROVER_FUZZ_EXAMPLES=50` sends more requests and all boundary
values. `DROVER_FUZZ_AS=viewer` sends all requests as a viewer. The requests are the same each time. Paths
contain the ids of planted objects, so that the look-up succeeds. Each request is rolled back.
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
from tests.isolation.planted import PlantedOrg, plant
from tests.isolation.test_matrix import authorization_header

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLE_COUNT = os.environ.get("DROVER_FUZZ_EXAMPLES")


def load_schema() -> Any:
    config = SchemathesisConfig(seed=1)
    project = config.projects.default
    project.phases.update(phases=["coverage", "fuzzing"] if EXAMPLE_COUNT else ["fuzzing"])
    project.phases.coverage.unexpected_methods = set()
    # Searching the application's code for values takes each pytest process as long as importing all tests.
    project.analysis.constants.enabled = bool(EXAMPLE_COUNT)
    project.generation.deterministic = True
    project.generation.database = "none"
    project.generation.max_examples = int(EXAMPLE_COUNT or 3)
    return schemathesis.openapi.from_wsgi(
        "/api/v1/openapi.json", get_wsgi_application(), config=config
    )


schema = load_schema()


@pytest.fixture(scope="module")
def planted(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[PlantedOrg]:
    with django_db_blocker.unblock(), transaction.atomic(), keep_connection_open():
        yield plant()
        transaction.set_rollback(True)


@contextmanager
def keep_connection_open() -> Iterator[None]:
    """Stop Django from closing the connection when a request begins or ends, because that would end the transaction.

    Django's test client does the same.
    """
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@contextmanager
def roll_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# Most requests are sent as the owner, because many requests of the other callers are refused at once.
DEFAULT_ACTORS = "owner owner admin owner member owner viewer owner key owner anonymous"
ACTORS = os.environ.get("DROVER_FUZZ_AS", DEFAULT_ACTORS).split()
request_numbers = count()


def send_and_check(case: Any, planted: PlantedOrg) -> None:
    name = case.operation.definition.raw["operationId"]
    ids = {
        parameter: planted[name_of_object] for parameter, name_of_object in CASES[name].path.items()
    }
    case.path_parameters = {**(case.path_parameters or {}), **ids}
    actor = ACTORS[next(request_numbers) % len(ACTORS)]
    with roll_back():
        headers = {"Accept-Encoding": "identity"}  # the client does not decompress responses
        if actor != "anonymous":
            headers["Authorization"] = authorization_header(actor, planted)
        response = case.call(headers=headers)
    is_not_ready = name == "health_ready" and response.status_code == 503  # the suite has no worker
    is_stream = response.headers.get("content-type", [""])[0].startswith("text/event-stream")
    skipped: set[Any] = set()
    if is_stream:
        skipped.add(response_schema_conformance)
    elif is_not_ready:
        skipped.add(not_a_server_error)
    checks = [check for check in CHECKS if check not in skipped]
    case.validate_response(response, checks=checks)


test_no_input_causes_an_error_or_an_undocumented_response = schema.parametrize()(send_and_check)
if not EXAMPLE_COUNT:
    test_no_input_causes_an_error_or_an_undocumented_response = pytest.mark.sample(4)(
        test_no_input_causes_an_error_or_an_undocumented_response
    )
