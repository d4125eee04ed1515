"""The independent `scim2-tester` against the real server: no check fails, and only checks of features that the service
declares as unsupported are skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.orgs.scim.test_scim import BASE, key_of
from tests.web_server import web_server
from tests.world import make_world


@pytest.fixture
def directory(committed_db: None) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {key_of(make_world())}"}
    with (
        web_server() as address,
        httpx.Client(base_url=f"{address}{BASE}", headers=headers, timeout=60) as client,
    ):
        yield client


def test_the_conformance_suite_finds_nothing(directory: httpx.Client) -> None:
    # Imported here: with the models it creates, scim2-client costs every process of the suite seconds.
    from scim2_tester import Status, check_server

    from tests.orgs.scim.conformance_client import OverHttp

    good = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED}
    results = check_server(OverHttp(directory))
    failed = [
        f"{result.title} {result.resource_type}: {result.reason}"
        for result in results
        if result.status not in good
    ]
    assert failed == []
    assert [result.reason for result in results if result.status is Status.SKIPPED] == []
    ran = Counter(result.title for result in results)
    assert len(results) > 100, ran
    for kind in ("User", "Group"):
        titles = {result.title for result in results if result.resource_type == kind}
        assert {"object_creation", "object_replacement", "check_remove_attribute"} <= titles
        assert {"search_with_attributes", "object_list_with_attributes"} <= titles
