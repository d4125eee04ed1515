"""From the document of a local API to its rows: the plan, the code and the preview are the real ones."""

from __future__ import annotations

import uuid

import pytest

from apps.agent.sources import documents, generation
from apps.connectors import engine
from apps.engine.contract import CodeSpec, SourceSpec
from tests.agent.sources.local_api import LocalApi, Special, all_apis, serve, special_apis
from tests.agent.sources.local_documents import document_of


@pytest.mark.sample(3)
@pytest.mark.parametrize("api", [*all_apis(), *special_apis()], ids=lambda api: api.label)
def test_the_preview_has_every_row_of_the_api(api: LocalApi) -> None:
    with serve(api) as base_url:
        proposed = documents.propose_plan(document_of(api, base_url))
        assert proposed is not None
        plan = proposed.plan
        assert plan.authentication.kind == api.authentication
        assert [stream.name for stream in plan.streams] == ["orders"]
        assert plan.streams[0].pagination.kind == api.pagination
        assert plan.streams[0].primary_key == ["id"]
        assert plan.streams[0].cursor_field == "updated_at"
        assert plan.streams[0].since == api.style.since
        code = generation.generate(plan)
        report = engine.validate(org_id=uuid.uuid4(), code=code)
        assert report["errors"] == []
        assert report["warnings"] == []
        assert report["hosts"] == plan.hosts()
        spec = CodeSpec(code, tuple(report["hosts"]), tuple(report["secret_names"]), "draft")
        source = SourceSpec(kind="custom", config=dict(api.config), stream="orders", code=spec)
        answer = engine.try_source(org_id=uuid.uuid4(), source=source, limit=50)
    assert answer["failure"] is None
    assert answer["records"] == api.read_rows
    statuses = [request["status"] for request in answer["requests"]]
    assert (429 in statuses) == (api.special == Special.TOO_MANY_REQUESTS)
    if api.special == Special.EMPTY_PAGE:
        assert statuses == [200] * 4


def test_the_local_apis_cover_each_authentication_and_each_pagination() -> None:
    apis = all_apis()
    assert len({api.label for api in apis}) == len(apis) >= 20
    assert len({api.authentication for api in apis}) == 6
    assert len({api.pagination for api in apis}) == 6
    assert len({(api.pagination, api.style.name) for api in apis}) >= 10
