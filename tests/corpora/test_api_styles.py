"""Every example of docs/reference/api-styles.md reads all records of a server that behaves like the API."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from requests import HTTPError

from apps.connectors import schemas
from apps.engine import catalogue
from apps.engine.failures import (
    AuthenticationError,
    ConfigurationError,
    PositionGone,
    SourceError,
)
from apps.engine.library import failures
from apps.engine.sources.rest import auth
from tests.corpora.api_styles import STYLES, local_config
from tests.engine.sources.api import (
    Api,
    ReceivedRequest,
    Reply,
    RequestHandler,
    always_reply,
    serve_api,
)
from tests.engine.sources.reading import make_source, read_stream

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "api-styles.md"
EXAMPLES = dict(re.findall(r"^## (.+?)$.*?```json\n(.*?)```", PAGE.read_text(), re.M | re.S))


def test_every_example_has_a_server() -> None:
    assert list(EXAMPLES) == list(STYLES)
    assert len(EXAMPLES) >= 20


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", STYLES)
def test_an_example_reads_every_record_and_can_resume_at_every_token(name: str) -> None:
    style = STYLES[name]
    with serve_api(style.respond) as api:
        config = local_config(EXAMPLES[name], api.url)
        assert sorted(style.rows) == sorted(stream["name"] for stream in config["streams"])
        for stream, rows in style.rows.items():
            result = read_stream(make_source("rest", config, stream))
            assert result.rows == rows, stream
            middle = result.tokens[len(result.tokens) // 2]
            resumed = read_stream(make_source("rest", config, stream), token=middle)
            assert resumed.rows == rows[len(rows) - len(resumed.rows) :]
            steps = list(make_source("rest", config, stream).check())
            assert all(step.ok for step in steps), steps


@pytest.mark.parametrize("name", STYLES)
def test_an_example_is_accepted_by_the_form(name: str) -> None:
    kind = catalogue.source("rest")
    assert kind is not None
    config = local_config(EXAMPLES[name], "https://api.example.com")
    assert schemas.errors(kind.config_schema, config) == []


def api_config(api: Api, *streams: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {"base_url": api.url, "streams": list(streams), "retries": 0, **config}


POSTS = {"name": "posts", "path": "/posts", "records_path": "data", "primary_key": ["id"]}
COMMENTS = {
    "name": "comments",
    "parent": "posts",
    "path": "/posts/{id}/comments",
    "records_path": "data",
    "pagination": {"type": "page"},
}


def blog(posts: dict[int, int]) -> RequestHandler:
    """Serve pages of two posts, each with this many comments on pages of three, with a list of each comment's votes."""

    def respond(request: ReceivedRequest) -> Reply:
        number = int(request.params.get("page", 1))
        steps = request.path.strip("/").split("/")
        if len(steps) == 1:
            ids = sorted(posts)
            return Reply({"data": [{"id": n} for n in ids[(number - 1) * 2 : number * 2]]})
        post = int(steps[1])
        if post not in posts:
            return Reply({"error": "no such post"}, 404)
        if len(steps) == 5:
            return Reply({"data": [{"vote": f"{steps[3]}-{n}"} for n in range(2)]})
        rows = [{"id": post * 100 + n} for n in range(posts[post])]
        return Reply({"data": rows[(number - 1) * 3 : number * 3]})

    return respond


def test_a_child_stream_can_resume_at_every_token() -> None:
    with serve_api(blog({1: 4, 2: 0, 3: 7, 4: 1, 5: 3})) as api:
        config = api_config(api, {**POSTS, "pagination": {"type": "page"}}, COMMENTS)
        whole = read_stream(make_source("rest", config, "comments"))
        assert whole.column("id") == [
            *range(100, 104), *range(300, 307), 400, *range(500, 503)
        ]  # fmt: skip
        for number, token in enumerate(whole.tokens):
            resumed = read_stream(make_source("rest", config, "comments"), token=token)
            assert resumed.pages == whole.pages[number:]


def test_a_child_stream_finds_its_parent_again_after_others_were_removed() -> None:
    posts = {1: 1, 2: 4, 3: 1}
    with serve_api(blog(posts)) as api:
        config = api_config(api, {**POSTS, "pagination": {"type": "page"}}, COMMENTS)
        tokens = read_stream(make_source("rest", config, "comments")).tokens
        token = next(token for token in tokens if token.get("page") == 2 and token["index"] == 1)
        del posts[1]
        resumed = read_stream(make_source("rest", config, "comments"), token=token)
        assert resumed.column("id")[0] == 203
        del posts[2]
        with pytest.raises(PositionGone):
            read_stream(make_source("rest", config, "comments"), token=token)


def test_a_child_of_a_child_is_read_for_each_of_its_parents() -> None:
    votes = {
        "name": "votes",
        "parent": "comments",
        "path": "/posts/{_posts_id}/comments/{id}/votes",
        "records_path": "data",
    }
    comments = {**COMMENTS, "include_from_parent": ["id"]}
    with serve_api(blog({1: 2, 2: 1})) as api:
        config = api_config(api, {**POSTS, "pagination": {"type": "page"}}, comments, votes)
        rows = read_stream(make_source("rest", config, "votes")).rows
    assert [row["vote"] for row in rows] == [
        f"{comment}-{n}" for comment in (100, 101, 200) for n in range(2)
    ]


def test_fields_of_the_parent_fill_parameters_and_the_body() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/posts":
            return Reply({"data": [{"id": 7}]})
        return Reply({"data": [{"param": request.params["post"], "body": request.json["post"]}]})

    comments = {
        **COMMENTS,
        "path": "/comments",
        "method": "POST",
        "params": {"post": "p{resources.posts.id}", "plain": "{id}"},
        "json": {"post": "{resources.posts.id}"},
        "pagination": {"type": "none"},
    }
    with serve_api(respond) as api:
        rows = read_stream(make_source("rest", api_config(api, POSTS, comments), "comments")).rows
        assert api.requests[-1].params["plain"] == "{id}"
    assert rows == [{"param": "p7", "body": 7}]


UNSAFE_IDS: list[Any] = [
    *("..", ".", "", " ", "../x", "a/../..", "%2e%2e", "%252E%252e", ".%2e", "..\\x", "..%2fx"),
    None,
]


def items_below(id_: Any) -> RequestHandler:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/items":
            return Reply({"data": [{"id": id_}]})
        return Reply({"data": [{"got": request.path}]})

    return respond


def read_children(api: Api) -> list[Any]:
    items = {**POSTS, "name": "items", "path": "/items"}
    children = {"name": "s", "parent": "items", "path": "/items/{id}/sub", "records_path": "data"}
    return read_stream(make_source("rest", api_config(api, items, children), "s")).rows


def read_children_with_drover(api: Api) -> list[Any]:
    from drover import RestSource, Stream
    from drover._source import SettingValues, StreamSettings

    streams = [
        Stream("items", path="/items", records="data"),
        Stream("s", parent="items", path="/items/{id}/sub", records="data"),
    ]
    source_class = type("Items", (RestSource,), {"base_url": api.url, "streams": streams})
    return list(source_class(SettingValues(None, {}), StreamSettings("s")).get().rows)


@pytest.mark.parametrize("read", [read_children, read_children_with_drover])
@pytest.mark.parametrize("id_", UNSAFE_IDS, ids=repr)
def test_the_id_of_a_parent_cannot_lead_to_another_path(
    id_: Any, read: Callable[[Api], list[Any]]
) -> None:
    with serve_api(items_below(id_)) as api:
        with pytest.raises((SourceError, failures.ConfigurationError)) as caught:
            read(api)
        assert "parent" in str(caught.value)
        assert {request.path for request in api.requests} == {"/items"}


@pytest.mark.parametrize("read", [read_children, read_children_with_drover])
@pytest.mark.parametrize("id_", ["a/b", "ü x", "...", "a..b", "?", 0, 12345678901234567890])
def test_other_ids_of_parents_fill_their_place(id_: Any, read: Callable[[Api], list[Any]]) -> None:
    with serve_api(items_below(id_)) as api:
        [row] = read(api)
    assert unquote(row["got"]) == f"/items/{id_}/sub"


def test_the_names_of_records_do_not_replace_a_field_of_the_records() -> None:
    stream = {**POSTS, "records_path": "*", "key_field": "id"}
    for body, expected in (
        ({"a": {"id": "orig"}, "b": {"v": 1}}, None),
        ({"a": {"id": "a"}, "5": {"id": 5}}, [{"id": "a"}, {"id": 5}]),
    ):
        with serve_api(always_reply(Reply(body))) as api:
            source = make_source("rest", api_config(api, stream), "posts")
            if expected is None:
                with pytest.raises(ConfigurationError, match="choose another `key_field`"):
                    read_stream(source)
            else:
                assert read_stream(source).rows == expected


def test_an_error_at_one_parent_is_not_taken_for_no_children() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/posts/2/comments":
            return Reply({"code": 429, "msg": "later"})
        return blog({1: 2, 2: 1, 3: 1})(request)

    with serve_api(respond) as api:
        config = api_config(api, {**POSTS, "pagination": {"type": "page"}}, COMMENTS)
        with pytest.raises(SourceError):
            read_stream(make_source("rest", config, "comments"))


@pytest.mark.parametrize(("fields", "is_empty"), [({}, True), ({"kind": "list"}, False)])
def test_an_empty_object_at_one_parent_means_no_children_if_the_others_have_only_the_list(
    fields: dict[str, Any], is_empty: bool
) -> None:
    def respond(request: ReceivedRequest) -> Reply:
        if request.path == "/posts/2/comments":
            return Reply({})
        reply = blog({1: 2, 2: 1, 3: 1})(request)
        return Reply({**reply.body, **fields})

    with serve_api(respond) as api:
        source = make_source("rest", api_config(api, POSTS, COMMENTS), "comments")
        if is_empty:
            assert [row["id"] for row in read_stream(source).rows] == [100, 101]
            return
        with pytest.raises(SourceError, match="none of the fields"):
            read_stream(source)


def test_an_incremental_cursor_can_be_sent_in_the_body() -> None:
    rows = [{"id": 1, "at": "2024-01-01"}, {"id": 2, "at": "2024-01-02"}]

    def respond(request: ReceivedRequest) -> Reply:
        since = (request.json.get("filter") or {}).get("since", "")
        return Reply({"data": [row for row in rows if row["at"] >= since]})

    stream = {
        **POSTS,
        "method": "POST",
        "json": {"filter": {"state": "open"}},
        "cursor_field": "at",
        "cursor_body_path": "filter.since",
    }
    with serve_api(respond) as api:
        config = api_config(api, stream)
        first = read_stream(make_source("rest", config, "posts", sync_mode="incremental"))
        rows.append({"id": 3, "at": "2024-01-02"})
        second = read_stream(
            make_source("rest", config, "posts", sync_mode="incremental"), first.state
        )
        assert api.requests[-1].json["filter"] == {"state": "open", "since": "2024-01-02"}
    assert second.column("id") == [3]


def test_partial_data_of_graphql_is_a_source_failure() -> None:
    body = {"data": {"items": [{"id": 1}]}, "errors": [{"message": "Throttled"}]}
    stream = {**POSTS, "records_path": "data.items"}
    failed = pytest.raises(SourceError, match="error beside its data")
    with serve_api(always_reply(Reply(body))) as api, failed as caught:
        read_stream(make_source("rest", api_config(api, stream), "posts"))
    assert caught.value.evidence[0] == "errors: Throttled"
    assert caught.value.retryable


def oauth(api: Api, **changes: Any) -> dict[str, Any]:
    return {
        "type": "oauth2_client_credentials",
        "access_token_url": f"{api.url}/token",
        "client_id": "app",
        "client_secret": "canary-secret",
        **changes,
    }


def test_an_access_token_is_requested_again_a_minute_before_it_expires(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = 1000.0
    issued: list[str] = []
    monkeypatch.setattr(auth, "time", SimpleNamespace(monotonic=lambda: seconds))

    def respond(request: ReceivedRequest) -> Reply:
        nonlocal seconds
        if request.path == "/token":
            issued.append(f"t{len(issued)}")
            return Reply({"access_token": issued[-1], "expires_in": 3600})
        assert request.headers["authorization"] == f"Bearer {issued[-1]}"
        number = int(request.params["page"])
        seconds += {1: 3539, 2: 1}.get(number, 0)
        return Reply({"data": [{"id": number, "token": issued[-1]}] if number < 5 else []})

    with serve_api(respond) as api:
        config = api_config(api, POSTS, auth=oauth(api), pagination={"type": "page"})
        rows = read_stream(make_source("rest", config, "posts")).rows
    assert [row["token"] for row in rows] == ["t0", "t0", "t1", "t1"]


class RevokingApi:
    """Issues access tokens, and refuses the first of them from page 3 on; with `refuses_all`, all of them."""

    def __init__(self, *, refuses_all: bool = False) -> None:
        self.issued: list[str] = []
        self.refuses_all = refuses_all

    def respond(self, request: ReceivedRequest) -> Reply:
        if request.path == "/token":
            self.issued.append(f"t{len(self.issued)}")
            return Reply({"access_token": self.issued[-1], "expires_in": 3600})
        number = int(request.params["page"])
        is_revoked = number >= 3 and (
            self.refuses_all or request.headers["authorization"] == "Bearer t0"
        )
        if is_revoked:
            return Reply({"error": "invalid_token"}, 401)
        return Reply({"data": [{"id": number}] if number < 5 else []})


def read_pages_with_rest(api: Api) -> list[Any]:
    config = api_config(api, POSTS, auth=oauth(api), pagination={"type": "page"})
    return read_stream(make_source("rest", config, "posts")).rows


def read_pages_with_drover(api: Api) -> list[Any]:
    from drover import OAuthClientCredentials, PageNumber, RestSource, Stream
    from drover._source import SettingValues, StreamSettings

    names = {
        "base_url": api.url,
        "auth": OAuthClientCredentials(f"{api.url}/token"),
        "paging": PageNumber(),
        "streams": [Stream("posts", path="/posts", records="data", primary_key="id")],
    }
    settings = SettingValues(None, {"client_id": "app", "client_secret": "canary-secret"})
    source = type("Posts", (RestSource,), names)(settings, StreamSettings("posts"))
    rows: list[Any] = []
    page = source.get()
    while True:
        rows += page.rows
        if not page.next_pagination:
            return rows
        page = source.get(page.next_pagination)


@pytest.mark.parametrize("read", [read_pages_with_rest, read_pages_with_drover])
def test_an_access_token_that_is_revoked_early_is_replaced_once(
    read: Callable[[Api], list[Any]],
) -> None:
    server = RevokingApi()
    with serve_api(server.respond) as api:
        assert read(api) == [{"id": n} for n in range(1, 5)]
    assert server.issued == ["t0", "t1"]


@pytest.mark.parametrize("read", [read_pages_with_rest, read_pages_with_drover])
def test_a_new_access_token_that_is_refused_again_fails_the_run(
    read: Callable[[Api], list[Any]],
) -> None:
    server = RevokingApi(refuses_all=True)
    with serve_api(server.respond) as api, pytest.raises((AuthenticationError, HTTPError)):
        read(api)
    assert server.issued == ["t0", "t1"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": "invalid_client"}, 400),
        Reply(b"", 401),
        Reply({"token": "secret-token"}),
        Reply(b"<html>"),
    ],
)
def test_a_refused_access_token_is_an_authentication_failure(reply: Reply) -> None:
    with serve_api(always_reply(reply)) as api:
        config = api_config(api, POSTS, auth=oauth(api))
        with pytest.raises(AuthenticationError) as caught:
            make_source("rest", config, "posts").get()
        assert [request.path for request in api.requests] == ["/token"]
    assert "secret" not in str(caught.value.evidence)


def test_a_stream_can_have_its_own_authentication() -> None:
    def respond(request: ReceivedRequest) -> Reply:
        return Reply({"data": [{"auth": request.headers.get("authorization")}]})

    streams: list[dict[str, Any]] = [
        {**POSTS, "name": "default"},
        {**POSTS, "name": "own", "auth": {"type": "bearer", "token": "own"}},
        {**POSTS, "name": "none", "auth": {"type": "none"}},
    ]
    with serve_api(respond) as api:
        config = api_config(api, *streams, auth={"type": "bearer", "token": "shared"})
        found = {
            stream["name"]: read_stream(make_source("rest", config, stream["name"])).rows[0]["auth"]
            for stream in streams
        }
    assert found == {"default": "Bearer shared", "own": "Bearer own", "none": None}


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "an invalid path": ({"records_path": "a..b"}, "streams.0.records_path"),
    "several cursors": (
        {"pagination": {"type": "cursor", "cursor_path": "data[].id"}},
        "cursor_path",
    ),
    "no cursor": ({"pagination": {"type": "cursor"}}, "cursor_path or cursor_header"),
    "a body with GET": ({"json": {}}, "`json` needs the method POST"),
    "an unknown parent": ({"parent": "nope"}, "'nope'"),
    "its own parent": ({"parent": "posts"}, "below itself"),
    "braces without a parent": ({"path": "/{id}"}, "{id} needs a parent"),
    "another stream in braces": (
        {"parent": "other", "params": {"a": "{resources.third.id}"}},
        "not its parent",
    ),
    "fields of no parent": ({"include_from_parent": ["id"]}, "needs a parent"),
    "a header of two lines": ({"headers": {"X": "a\nb"}}, "streams.0.headers"),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_settings_are_refused_at_their_field(name: str) -> None:
    change, expected = INVALID[name]
    config = {"base_url": "https://api.test", "streams": [{**POSTS, **change}, {"name": "other"}]}
    with pytest.raises(ConfigurationError) as caught:
        make_source("rest", config, "posts")
    assert any(expected in line for line in caught.value.evidence), caught.value.evidence
