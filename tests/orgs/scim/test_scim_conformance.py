"""Every check of the independent `scim2-tester` passes against the real server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.orgs.scim.test_scim import BASE, directory_key
from tests.web_server import web_server
from tests.world import make_world


@pytest.fixture
def directory(committed_db: None) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {directory_key(make_world())}"}
    with (
        web_server() as address,
        httpx.Client(base_url=f"{address}{BASE}", headers=headers, timeout=60) as client,
    ):
        yield client


@pytest.mark.long
def test_every_check_of_the_conformance_suite_passes(directory: httpx.Client) -> None:
    # Imported here, because importing scim2-client takes seconds in each process of the test suite.
    from scim2_tester import Status, check_server

    from tests.orgs.scim.conformance_client import HttpxScimClient

    passing_statuses = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}
    results = check_server(HttpxScimClient(directory))
    failures = [
        f"{result.title} {result.resource_type}: {result.reason}"
        for result in results
        if result.status not in passing_statuses
    ]
    assert failures == []
    assert [result.reason for result in results if result.status is Status.SKIPPED] == []
    counts_by_title = Counter(result.title for result in results)
    assert len(results) > 100, counts_by_title
    for resource_type in ("User", "Group"):
        titles = {result.title for result in results if result.resource_type == resource_type}
        assert {"object_creation", "object_replacement", "check_remove_attribute"} <= titles
        assert {"search_with_attributes", "object_list_with_attributes"} <= titles
