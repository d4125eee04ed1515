"""bizon's own sources, each with a real local server that imitates its API; only the URL is changed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from bizon.connectors.sources.gbif.src import source as gbif
from bizon.connectors.sources.hubspot.src import hubspot_base, hubspot_objects
from bizon.connectors.sources.notion.src import source as notion
from bizon.connectors.sources.periscope.src import source as periscope
from bizon.connectors.sources.pokeapi.src import source as pokeapi

from apps.egress.exceptions import EgressError
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    EngineError,
    RateLimitError,
    SourceError,
)
from apps.engine.sources.bizon import guard
from tests.engine.sources.api import Api, Asked, Reply, always, serving
from tests.engine.sources.reading import build, read

SECRET = "s3cret-canary"
KEY = {"type": "api_key", "params": {"token": SECRET}}
PEOPLE = [{"id": f"{n}", "name": f"person {n}"} for n in range(250)]

Point = Callable[[Api], None]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed requests are retried once, not for half a minute."""
    monkeypatch.setattr(guard, "RETRIES", 1)


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Callable[[Api, ModuleType, str, str], None]:
    """Point a constant of one of bizon's modules to the server."""

    def pointed(api: Api, module: ModuleType, name: str, path: str = "") -> None:
        monkeypatch.setattr(module, name, f"{api.url}{path}")

    return pointed


def hubspot_api(asked: Asked) -> Reply:
    if asked.path == "/oauth/v1/token":
        assert b"refresh_token=refresh-me" in asked.body
        return Reply({"access_token": SECRET, "expires_in": 1800})
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    if "/properties/" in asked.path:
        described = {"label": "x", "fieldType": "text", "type": "string"}
        return Reply({"results": [{"name": name, **described} for name in ("email", "city")]})
    if asked.path.endswith("/search"):
        return Reply({"total": len(PEOPLE)})
    assert asked.params["properties"] == "email,city"
    start = int(asked.params.get("after", 0))
    end = start + int(asked.params["limit"])
    paging = {"paging": {"next": {"after": str(end), "link": "x"}}} if end < len(PEOPLE) else {}
    return Reply({"results": PEOPLE[start:end], **paging})


@pytest.fixture
def hubspot(point: Any) -> Callable[[Api], None]:
    def pointed(api: Api) -> None:
        point(api, hubspot_objects, "URL_BASE")
        point(api, hubspot_base, "URL_TOKEN_REFRESH", "/oauth/v1/token")

    return pointed


def test_hubspot_reads_every_page_and_its_check_works(hubspot: Point) -> None:
    with serving(hubspot_api) as api:
        hubspot(api)
        source = build("hubspot", {"authentication": KEY}, "contacts")
        assert all(step.ok for step in source.check())
        assert source.get_total_records_count() == 250
        whole = read(source)
        assert whole.rows == PEOPLE
        assert len(whole.pages) == 3
        again = build("hubspot", {"authentication": KEY}, "contacts")
        assert read(again, token=whole.tokens[2]).rows == PEOPLE[200:]


def test_hubspot_of_one_page_and_of_none_ends(
    hubspot: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    for people in (PEOPLE[:3], []):
        monkeypatch.setattr(f"{__name__}.PEOPLE", people)
        with serving(hubspot_api) as api:
            hubspot(api)
            assert read(build("hubspot", {"authentication": KEY}, "deals")).rows == people


def test_hubspot_renews_its_login_under_the_egress_policy(hubspot: Point) -> None:
    params = {"client_id": "app", "client_secret": "x", "refresh_token": "refresh-me"}
    config = {"authentication": {"type": "oauth", "params": params}}
    with serving(hubspot_api) as api:
        hubspot(api)
        assert read(build("hubspot", config, "contacts")).rows == PEOPLE
        with pytest.raises(EgressError, match="is refused"):
            build("hubspot", config, "contacts", private=False).get()


def test_a_refused_renewal_is_an_authentication_failure(hubspot: Point) -> None:
    params = {"client_id": "app", "client_secret": "x", "refresh_token": "refresh-me"}
    config = {"authentication": {"type": "oauth", "params": params}}
    with serving(always(Reply({"message": "missing or unknown refresh token"}, 400))) as api:
        hubspot(api)
        error = failure("hubspot", config, "contacts", AuthenticationError)
    assert "unknown refresh token" in str(error.evidence)


@pytest.mark.parametrize("stream", ["pokemon", "berry", "item"])
def test_pokeapi_asks_for_its_streams_by_name(stream: str, point: Any) -> None:
    rows = [{"name": f"{stream}-{n}", "url": "u"} for n in range(45)]

    def script(asked: Asked) -> Reply:
        assert asked.path == f"/api/v2/{stream}"
        start = int(asked.params.get("offset", 0))
        link = f"{api.url}/api/v2/{stream}?offset={start + 20}" if start + 20 < len(rows) else None
        return Reply({"count": len(rows), "next": link, "results": rows[start : start + 20]})

    with serving(script) as api:
        point(api, pokeapi, "BASE_URL", "/api/v2")
        source = build("pokeapi", {}, stream)
        assert source.get_total_records_count() == 45
        whole = read(source)
        assert whole.rows == rows
        assert read(build("pokeapi", {}, stream), token=whole.tokens[1]).rows == rows[20:]


def test_gbif_reads_up_to_its_limit(point: Any) -> None:
    def script(asked: Asked) -> Reply:
        offset, limit = int(asked.params.get("offset", 0)), int(asked.params["limit"])
        results = [{"key": n} for n in range(offset, min(offset + limit, 1000))]
        return Reply({"count": 3_000_000, "endOfRecords": False, "results": results})

    with serving(script) as api:
        point(api, gbif, "BASE_URL")
        source = build("gbif", {"page_limit": 100, "max_records": 250}, "occurrence")
        assert source.get_total_records_count() == 250
        whole = read(source)
    assert whole.column("key") == list(range(250))
    assert [len(page) for page in whole.pages] == [100, 100, 50]


def notion_users(asked: Asked) -> Reply:
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["notion-version"]
    start = int(asked.params.get("start_cursor", 0))
    end = start + int(asked.params.get("page_size", 100))
    more = end < len(PEOPLE)
    return Reply(
        {"results": PEOPLE[start:end], "has_more": more, "next_cursor": str(end) if more else None}
    )


@pytest.mark.parametrize("type_", ["api_key", "bearer"])
def test_notion_reads_its_users(type_: str, point: Any) -> None:
    config = {"authentication": {**KEY, "type": type_}}
    with serving(notion_users) as api:
        point(api, notion, "BASE_URL")
        source = build("notion", config, "users")
        assert all(step.ok for step in source.check())
        whole = read(source)
        assert whole.rows == PEOPLE
        assert len(whole.pages) == 3
        assert read(build("notion", config, "users"), token=whole.tokens[1]).rows == PEOPLE[100:]


DATABASES = ["a" * 32, "b" * 32]


def notion_databases(asked: Asked) -> Reply:
    number = asked.path.rsplit("/", 1)[-1]
    if number == DATABASES[0]:
        return Reply({"object": "error", "message": "Could not find database"}, 404)
    return Reply({"id": number, "object": "database"})


def test_a_database_that_notion_refuses_fails_the_run_instead_of_being_left_out(point: Any) -> None:
    config = {"authentication": KEY, "database_ids": DATABASES}
    with serving(notion_databases) as api:
        point(api, notion, "BASE_URL")
        error = failure("notion", config, "databases", ConfigurationError)
        tolerant = build("notion", {**config, "skip_unreadable": True}, "databases")
        assert read(tolerant).column("id") == [DATABASES[1]]
    assert "Could not find database" in str(error.evidence)


def cycle_api(asked: Asked) -> Reply:
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.json["variables"] == {"slug": "acme"}
    query = asked.json["query"]
    start = int(query.split('cursor: "')[1].split('"')[0]) if 'cursor: "' in query else 0
    edges = [{"cursor": "x", "node": person} for person in PEOPLE[start : start + 100]]
    info = {"hasNextPage": start + 100 < len(PEOPLE), "endCursor": str(start + 100)}
    customers = {"edges": edges, "pageInfo": info}
    return Reply({"data": {"getProductBySlug": {"customers": customers}}})


def cycle(api: Api) -> Any:
    source: Any = build("cycle", {"slug": "acme", "authentication": KEY}, "customers")
    source.inner.url_graphql = f"{api.url}/graphql"
    return source


def test_cycle_reads_every_page() -> None:
    with serving(cycle_api) as api:
        whole = read(cycle(api))
        assert whole.rows == PEOPLE
        assert read(cycle(api), token=whole.tokens[1]).rows == PEOPLE[100:]
        assert [step.step for step in cycle(api).check() if step.ok] == ["connect", "read"]


@pytest.mark.parametrize(
    "answer",
    [{"errors": [{"message": "no such product"}]}, {"errors": [{"message": "x"}], "data": None}],
)
def test_an_answer_that_is_only_errors_is_not_an_empty_stream(answer: dict[str, Any]) -> None:
    with (
        serving(always(Reply(answer))) as api,
        pytest.raises(SourceError, match="refused the query"),
    ):
        cycle(api).get()


REPORT = "id,name\n" + "\n".join(f"{row['id']},{row['name']}" for row in PEOPLE)


def sana_api(asked: Asked) -> Reply:
    if asked.path == "/token":
        assert b"grant_type=client_credentials" in asked.body
        return Reply({"access_token": SECRET, "expires_in": 3600})
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    if asked.path == "/api/reports/query":
        assert asked.json == {"query": "SELECT 1", "format": "csv"}
        return Reply({"data": {"jobId": "7"}})
    if asked.path == "/api/reports/jobs/7":
        link = f"http://{asked.headers['host']}/report.csv"
        return Reply({"data": {"status": "successful", "link": {"url": link}}})
    return Reply(REPORT.encode())


def sana(api: Api) -> Any:
    params = {
        "token_refresh_endpoint": f"{api.url}/token",
        "client_id": "app",
        "client_secret": "x",
    }
    config = {
        "domain": "acme",
        "query": "SELECT 1",
        "authentication": {"type": "oauth", "params": params},
    }
    source: Any = build("sana_ai", config, "insight_report")
    source.inner.base_url = f"{api.url}/api"
    return source


def test_sana_runs_its_report() -> None:
    with serving(sana_api) as api:
        assert read(sana(api)).rows == PEOPLE


def test_a_sana_report_that_failed_is_not_waited_for() -> None:
    def script(asked: Asked) -> Reply:
        if asked.path == "/api/reports/jobs/7":
            return Reply({"data": {"status": "failed"}})
        return sana_api(asked)

    with serving(script) as api, pytest.raises(SourceError, match="ended as 'failed'"):
        sana(api).get()


def test_a_sana_domain_is_one_word() -> None:
    params = {"token_refresh_endpoint": "https://x", "client_id": "a", "client_secret": "b"}
    auth = {"type": "oauth", "params": params}
    config = {"domain": "evil.com/#", "query": "x", "authentication": auth}
    with pytest.raises(ConfigurationError):
        build("sana_ai", config, "insight_report")


COOKIES = {"cf_bm": "one", "periscope_session": SECRET}
PERISCOPE = {
    "workspace_name": "acme",
    "client_site_id": 5,
    "database_id": 9,
    "x_csrf_token": "csrf",
    "authentication": {"type": "cookies", "params": {"cookies": COOKIES}},
}


def periscope_api(asked: Asked) -> Reply:
    assert f"periscope_session={SECRET}" in asked.headers["cookie"]
    assert asked.params["client_site_id"] == "5"
    if asked.path == "/users/owners":
        return Reply(PEOPLE[:5])
    if asked.path == "/login_state/dashboards":
        return Reply({"Dashboard": [{"id": n} for n in range(1, 13)]})
    number, start = asked.params["current_dashboard"], asked.params["minimum_dashboard_fluid_row"]
    widget = {"id": int(number) * 10, "database_id": 9, "content_id": None}
    return Reply({"Widget": [widget] if start == "0" else [], "TextBox": []})


def test_periscope_reads_users_and_the_charts_of_all_dashboards(point: Any) -> None:
    with serving(periscope_api) as api:
        point(api, periscope, "BASE_URL")
        assert read(build("periscope", PERISCOPE, "users")).rows == PEOPLE[:5]
        charts = read(build("periscope", PERISCOPE, "charts"))
    assert sorted(charts.column("id")) == [n * 10 for n in range(1, 13)]
    assert len(charts.pages) == 2


def test_a_dashboard_that_periscope_refuses_fails_the_run(point: Any) -> None:
    def script(asked: Asked) -> Reply:
        if asked.params.get("current_dashboard") == "3":
            return Reply(b"no", 403)
        return periscope_api(asked)

    with serving(script) as api:
        point(api, periscope, "BASE_URL")
        failure("periscope", PERISCOPE, "charts", AuthenticationError)
        tolerant = read(build("periscope", {**PERISCOPE, "skip_unreadable": True}, "charts"))
    assert 30 not in tolerant.column("id")
    assert len(tolerant.rows) == 11


def test_a_redirect_to_another_host_carries_no_cookies_or_tokens(point: Any) -> None:
    with serving(always(Reply([]))) as other:

        def script(asked: Asked) -> Reply:
            return Reply(b"", 302, {"Location": f"{other.url}/users"})

        with serving(script) as api:
            point(api, periscope, "BASE_URL")
            read(build("periscope", PERISCOPE, "users"))
        assert other.asked
        assert SECRET not in str(other.asked)
        assert "csrf" not in str(other.asked)


def failure(
    kind: str, config: dict[str, Any], stream: str, expected: type[EngineError]
) -> EngineError:
    with pytest.raises(expected) as caught:
        read(build(kind, config, stream))
    assert type(caught.value).failure_class is expected.failure_class
    assert SECRET not in f"{caught.value.message} {caught.value.evidence}"
    return caught.value


@pytest.mark.parametrize(
    ("reply", "expected", "evidence"),
    [
        (Reply({"message": "API token is invalid."}, 401), AuthenticationError, "401"),
        (Reply(b"slow", 429, {"Retry-After": "0"}), RateLimitError, "429"),
        (Reply(b"oops", 500), SourceError, "oops"),
        (Reply(b'{"results": [{"id"'), SourceError, "200 OK"),
        (Reply(b""), SourceError, "200 OK"),
        (Reply(["unexpected"]), SourceError, "unexpected"),
        (Reply(b'{"results": ', declared=5000), SourceError, "users"),
    ],
)
def test_every_failure_of_an_api_has_its_class_and_evidence(
    point: Any, reply: Reply, expected: type[EngineError], evidence: str
) -> None:
    with serving(always(reply)) as api:
        point(api, notion, "BASE_URL")
        error = failure("notion", {"authentication": KEY}, "users", expected)
        assert api.asked
    assert evidence in str(error.evidence)


def test_an_api_that_is_not_there_is_a_source_failure(point: Any) -> None:
    with serving(always(Reply())) as api:
        point(api, pokeapi, "BASE_URL")
    error = failure("pokeapi", {}, "berry", SourceError)
    assert error.retryable
    assert "refused" in str(error.evidence).lower()


@pytest.mark.parametrize(
    ("kind", "module", "stream", "config"),
    [
        ("notion", notion, "users", {"authentication": KEY}),
        ("pokeapi", pokeapi, "item", {}),
        ("gbif", gbif, "occurrence", {}),
    ],
)
def test_private_addresses_are_refused_without_asking(
    kind: str, module: ModuleType, stream: str, config: dict[str, Any], point: Any
) -> None:
    with serving(always(Reply({}))) as api:
        point(api, module, "BASE_URL")
        with pytest.raises(EgressError, match="is refused"):
            build(kind, config, stream, private=False).get()
        assert api.asked == []
