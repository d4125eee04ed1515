"""Test bizon's own sources. A local server imitates the API of each source, and the tests change only the URLs."""

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
from tests.engine.sources.api import Api, ReceivedRequest, Reply, always_reply, serve_api
from tests.engine.sources.reading import make_source, read_stream

SECRET = "s3cret-canary"
AUTHENTICATION = {"type": "api_key", "params": {"token": SECRET}}
PEOPLE = [{"id": f"{n}", "name": f"person {n}"} for n in range(250)]

UseApi = Callable[[Api], None]


@pytest.fixture(autouse=True)
def retry_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry a failed request only once, because more retries take half a minute."""
    monkeypatch.setattr(guard, "RETRIES", 1)


@pytest.fixture
def set_url(monkeypatch: pytest.MonkeyPatch) -> Callable[[Api, ModuleType, str, str], None]:
    """Return a function that sets a URL constant of one of bizon's modules to the server's URL."""

    def set_module_url(api: Api, module: ModuleType, name: str, path: str = "") -> None:
        monkeypatch.setattr(module, name, f"{api.url}{path}")

    return set_module_url


def hubspot_api(request: ReceivedRequest) -> Reply:
    if request.path == "/oauth/v1/token":
        assert b"refresh_token=refresh-me" in request.body
        return Reply({"access_token": SECRET, "expires_in": 1800})
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    if "/properties/" in request.path:
        field = {"label": "x", "fieldType": "text", "type": "string"}
        return Reply({"results": [{"name": name, **field} for name in ("email", "city")]})
    if request.path.endswith("/search"):
        return Reply({"total": len(PEOPLE)})
    assert request.params["properties"] == "email,city"
    start = int(request.params.get("after", 0))
    end = start + int(request.params["limit"])
    paging = {"paging": {"next": {"after": str(end), "link": "x"}}} if end < len(PEOPLE) else {}
    return Reply({"results": PEOPLE[start:end], **paging})


@pytest.fixture
def use_hubspot_api(set_url: Any) -> Callable[[Api], None]:
    def set_hubspot_urls(api: Api) -> None:
        set_url(api, hubspot_objects, "URL_BASE")
        set_url(api, hubspot_base, "URL_TOKEN_REFRESH", "/oauth/v1/token")

    return set_hubspot_urls


def test_hubspot_reads_every_page_and_its_check_succeeds(use_hubspot_api: UseApi) -> None:
    with serve_api(hubspot_api) as api:
        use_hubspot_api(api)
        source = make_source("hubspot", {"authentication": AUTHENTICATION}, "contacts")
        assert all(step.ok for step in source.check())
        assert source.get_total_records_count() == 250
        full_read = read_stream(source)
        assert full_read.rows == PEOPLE
        assert len(full_read.pages) == 3
        second_source = make_source("hubspot", {"authentication": AUTHENTICATION}, "contacts")
        assert read_stream(second_source, token=full_read.tokens[2]).rows == PEOPLE[200:]


def test_hubspot_reads_one_page_and_an_empty_stream(
    use_hubspot_api: UseApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for people in (PEOPLE[:3], []):
        monkeypatch.setattr(f"{__name__}.PEOPLE", people)
        with serve_api(hubspot_api) as api:
            use_hubspot_api(api)
            assert (
                read_stream(
                    make_source("hubspot", {"authentication": AUTHENTICATION}, "deals")
                ).rows
                == people
            )


def test_hubspot_refreshes_its_token_under_the_egress_policy(use_hubspot_api: UseApi) -> None:
    params = {"client_id": "app", "client_secret": "x", "refresh_token": "refresh-me"}
    config = {"authentication": {"type": "oauth", "params": params}}
    with serve_api(hubspot_api) as api:
        use_hubspot_api(api)
        assert read_stream(make_source("hubspot", config, "contacts")).rows == PEOPLE
        with pytest.raises(EgressError, match="is refused"):
            make_source("hubspot", config, "contacts", allow_private=False).get()


def test_a_refused_token_refresh_is_an_authentication_failure(use_hubspot_api: UseApi) -> None:
    params = {"client_id": "app", "client_secret": "x", "refresh_token": "refresh-me"}
    config = {"authentication": {"type": "oauth", "params": params}}
    with serve_api(
        always_reply(Reply({"message": "missing or unknown refresh token"}, 400))
    ) as api:
        use_hubspot_api(api)
        error = read_error("hubspot", config, "contacts", AuthenticationError)
    assert "unknown refresh token" in str(error.evidence)


@pytest.mark.parametrize("stream", ["pokemon", "berry", "item"])
def test_pokeapi_requests_the_stream_by_its_name(stream: str, set_url: Any) -> None:
    rows = [{"name": f"{stream}-{n}", "url": "u"} for n in range(45)]

    def respond(request: ReceivedRequest) -> Reply:
        assert request.path == f"/api/v2/{stream}"
        start = int(request.params.get("offset", 0))
        link = f"{api.url}/api/v2/{stream}?offset={start + 20}" if start + 20 < len(rows) else None
        return Reply({"count": len(rows), "next": link, "results": rows[start : start + 20]})

    with serve_api(respond) as api:
        set_url(api, pokeapi, "BASE_URL", "/api/v2")
        source = make_source("pokeapi", {}, stream)
        assert source.get_total_records_count() == 45
        full_read = read_stream(source)
        assert full_read.rows == rows
        assert (
            read_stream(make_source("pokeapi", {}, stream), token=full_read.tokens[1]).rows
            == rows[20:]
        )


def test_gbif_reads_up_to_its_limit(set_url: Any) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        offset, limit = int(request.params.get("offset", 0)), int(request.params["limit"])
        results = [{"key": n} for n in range(offset, min(offset + limit, 1000))]
        return Reply({"count": 3_000_000, "endOfRecords": False, "results": results})

    with serve_api(respond) as api:
        set_url(api, gbif, "BASE_URL")
        source = make_source("gbif", {"page_limit": 100, "max_records": 250}, "occurrence")
        assert source.get_total_records_count() == 250
        full_read = read_stream(source)
    assert full_read.column("key") == list(range(250))
    assert [len(page) for page in full_read.pages] == [100, 100, 50]


def notion_users(request: ReceivedRequest) -> Reply:
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["notion-version"]
    start = int(request.params.get("start_cursor", 0))
    end = start + int(request.params.get("page_size", 100))
    has_more = end < len(PEOPLE)
    return Reply(
        {
            "results": PEOPLE[start:end],
            "has_more": has_more,
            "next_cursor": str(end) if has_more else None,
        }
    )


@pytest.mark.parametrize("type_", ["api_key", "bearer"])
def test_notion_reads_its_users(type_: str, set_url: Any) -> None:
    config = {"authentication": {**AUTHENTICATION, "type": type_}}
    with serve_api(notion_users) as api:
        set_url(api, notion, "BASE_URL")
        source = make_source("notion", config, "users")
        assert all(step.ok for step in source.check())
        full_read = read_stream(source)
        assert full_read.rows == PEOPLE
        assert len(full_read.pages) == 3
        assert (
            read_stream(make_source("notion", config, "users"), token=full_read.tokens[1]).rows
            == PEOPLE[100:]
        )


DATABASES = ["a" * 32, "b" * 32]


def notion_databases(request: ReceivedRequest) -> Reply:
    database_id = request.path.rsplit("/", 1)[-1]
    if database_id == DATABASES[0]:
        return Reply({"object": "error", "message": "Could not find database"}, 404)
    return Reply({"id": database_id, "object": "database"})


def test_a_database_that_notion_refuses_fails_the_run_or_is_skipped(set_url: Any) -> None:
    config = {"authentication": AUTHENTICATION, "database_ids": DATABASES}
    with serve_api(notion_databases) as api:
        set_url(api, notion, "BASE_URL")
        error = read_error("notion", config, "databases", ConfigurationError)
        tolerant_source = make_source("notion", {**config, "skip_unreadable": True}, "databases")
        assert read_stream(tolerant_source).column("id") == [DATABASES[1]]
    assert "Could not find database" in str(error.evidence)


def cycle_api(request: ReceivedRequest) -> Reply:
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.json["variables"] == {"slug": "acme"}
    query = request.json["query"]
    start = int(query.split('cursor: "')[1].split('"')[0]) if 'cursor: "' in query else 0
    edges = [{"cursor": "x", "node": person} for person in PEOPLE[start : start + 100]]
    page_info = {"hasNextPage": start + 100 < len(PEOPLE), "endCursor": str(start + 100)}
    customers = {"edges": edges, "pageInfo": page_info}
    return Reply({"data": {"getProductBySlug": {"customers": customers}}})


def make_cycle_source(api: Api) -> Any:
    source: Any = make_source(
        "cycle", {"slug": "acme", "authentication": AUTHENTICATION}, "customers"
    )
    source.bizon_source.url_graphql = f"{api.url}/graphql"
    return source


def test_cycle_reads_every_page() -> None:
    with serve_api(cycle_api) as api:
        full_read = read_stream(make_cycle_source(api))
        assert full_read.rows == PEOPLE
        assert read_stream(make_cycle_source(api), token=full_read.tokens[1]).rows == PEOPLE[100:]
        assert [step.step for step in make_cycle_source(api).check() if step.ok] == [
            "connect",
            "read",
        ]


@pytest.mark.parametrize(
    "body",
    [{"errors": [{"message": "no such product"}]}, {"errors": [{"message": "x"}], "data": None}],
)
def test_a_response_with_errors_and_no_data_is_a_source_failure(body: dict[str, Any]) -> None:
    with (
        serve_api(always_reply(Reply(body))) as api,
        pytest.raises(SourceError, match="refused the query"),
    ):
        make_cycle_source(api).get()


REPORT = "id,name\n" + "\n".join(f"{row['id']},{row['name']}" for row in PEOPLE)


def sana_api(request: ReceivedRequest) -> Reply:
    if request.path == "/token":
        assert b"grant_type=client_credentials" in request.body
        return Reply({"access_token": SECRET, "expires_in": 3600})
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    if request.path == "/api/reports/query":
        assert request.json == {"query": "SELECT 1", "format": "csv"}
        return Reply({"data": {"jobId": "7"}})
    if request.path == "/api/reports/jobs/7":
        link = f"http://{request.headers['host']}/report.csv"
        return Reply({"data": {"status": "successful", "link": {"url": link}}})
    return Reply(REPORT.encode())


def make_sana_source(api: Api) -> Any:
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
    source: Any = make_source("sana_ai", config, "insight_report")
    source.bizon_source.base_url = f"{api.url}/api"
    return source


def test_sana_reads_the_rows_of_its_report() -> None:
    with serve_api(sana_api) as api:
        assert read_stream(make_sana_source(api)).rows == PEOPLE


def test_a_failed_sana_report_is_a_source_failure() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/api/reports/jobs/7":
            return Reply({"data": {"status": "failed"}})
        return sana_api(request)

    with serve_api(respond) as api, pytest.raises(SourceError, match="ended as 'failed'"):
        make_sana_source(api).get()


def test_a_sana_domain_with_invalid_characters_is_refused() -> None:
    params = {"token_refresh_endpoint": "https://x", "client_id": "a", "client_secret": "b"}
    auth = {"type": "oauth", "params": params}
    config = {"domain": "evil.com/#", "query": "x", "authentication": auth}
    with pytest.raises(ConfigurationError):
        make_source("sana_ai", config, "insight_report")


COOKIES = {"cf_bm": "one", "periscope_session": SECRET}
PERISCOPE_CONFIG = {
    "workspace_name": "acme",
    "client_site_id": 5,
    "database_id": 9,
    "x_csrf_token": "csrf",
    "authentication": {"type": "cookies", "params": {"cookies": COOKIES}},
}


def periscope_api(request: ReceivedRequest) -> Reply:
    assert f"periscope_session={SECRET}" in request.headers["cookie"]
    assert request.params["client_site_id"] == "5"
    if request.path == "/users/owners":
        return Reply(PEOPLE[:5])
    if request.path == "/login_state/dashboards":
        return Reply({"Dashboard": [{"id": n} for n in range(1, 13)]})
    number, start = (
        request.params["current_dashboard"],
        request.params["minimum_dashboard_fluid_row"],
    )
    widget = {"id": int(number) * 10, "database_id": 9, "content_id": None}
    return Reply({"Widget": [widget] if start == "0" else [], "TextBox": []})


def test_periscope_reads_users_and_the_charts_of_all_dashboards(set_url: Any) -> None:
    with serve_api(periscope_api) as api:
        set_url(api, periscope, "BASE_URL")
        assert read_stream(make_source("periscope", PERISCOPE_CONFIG, "users")).rows == PEOPLE[:5]
        charts = read_stream(make_source("periscope", PERISCOPE_CONFIG, "charts"))
    assert sorted(charts.column("id")) == [n * 10 for n in range(1, 13)]
    assert len(charts.pages) == 2


def test_a_dashboard_that_periscope_refuses_fails_the_run_or_is_skipped(set_url: Any) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.params.get("current_dashboard") == "3":
            return Reply(b"no", 403)
        return periscope_api(request)

    with serve_api(respond) as api:
        set_url(api, periscope, "BASE_URL")
        read_error("periscope", PERISCOPE_CONFIG, "charts", AuthenticationError)
        tolerant_read = read_stream(
            make_source("periscope", {**PERISCOPE_CONFIG, "skip_unreadable": True}, "charts")
        )
    assert 30 not in tolerant_read.column("id")
    assert len(tolerant_read.rows) == 11


def test_a_redirect_to_another_host_carries_no_cookies_or_tokens(set_url: Any) -> None:
    with serve_api(always_reply(Reply([]))) as other_api:

        def respond(request: ReceivedRequest) -> Reply:
            return Reply(b"", 302, {"Location": f"{other_api.url}/users"})

        with serve_api(respond) as api:
            set_url(api, periscope, "BASE_URL")
            read_stream(make_source("periscope", PERISCOPE_CONFIG, "users"))
        assert other_api.requests
        assert SECRET not in str(other_api.requests)
        assert "csrf" not in str(other_api.requests)


def read_error(
    kind: str, config: dict[str, Any], stream: str, expected: type[EngineError]
) -> EngineError:
    with pytest.raises(expected) as raised:
        read_stream(make_source(kind, config, stream))
    assert type(raised.value).failure_class is expected.failure_class
    assert SECRET not in f"{raised.value.message} {raised.value.evidence}"
    return raised.value


@pytest.mark.parametrize(
    ("reply", "expected", "evidence"),
    [
        (Reply({"message": "API token is invalid."}, 401), AuthenticationError, "401"),
        (Reply(b"slow", 429, {"Retry-After": "0"}), RateLimitError, "429"),
        (Reply(b"oops", 500), SourceError, "oops"),
        (Reply(b'{"results": [{"id"'), SourceError, "200 OK"),
        (Reply(b""), SourceError, "200 OK"),
        (Reply(["unexpected"]), SourceError, "unexpected"),
        (Reply(b'{"results": ', declared_length=5000), SourceError, "users"),
    ],
)
def test_each_failed_response_of_an_api_has_a_failure_class_and_evidence(
    set_url: Any, reply: Reply, expected: type[EngineError], evidence: str
) -> None:
    with serve_api(always_reply(reply)) as api:
        set_url(api, notion, "BASE_URL")
        error = read_error("notion", {"authentication": AUTHENTICATION}, "users", expected)
        assert api.requests
    assert evidence in str(error.evidence)


def test_an_unreachable_api_is_a_source_failure(set_url: Any) -> None:
    with serve_api(always_reply(Reply())) as api:
        set_url(api, pokeapi, "BASE_URL")
    error = read_error("pokeapi", {}, "berry", SourceError)
    assert error.retryable
    assert "refused" in str(error.evidence).lower()


@pytest.mark.parametrize(
    ("kind", "module", "stream", "config"),
    [
        ("notion", notion, "users", {"authentication": AUTHENTICATION}),
        ("pokeapi", pokeapi, "item", {}),
        ("gbif", gbif, "occurrence", {}),
    ],
)
def test_private_addresses_are_refused_without_a_request(
    kind: str, module: ModuleType, stream: str, config: dict[str, Any], set_url: Any
) -> None:
    with serve_api(always_reply(Reply({}))) as api:
        set_url(api, module, "BASE_URL")
        with pytest.raises(EgressError, match="is refused"):
            make_source(kind, config, stream, allow_private=False).get()
        assert api.requests == []
