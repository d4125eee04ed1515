"""Local servers that page as well-known APIs do. Each stream has 57 records unless its server says otherwise."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.corpora.paged_apis import make_items
from tests.engine.sources.api import ReceivedRequest, Reply

COUNT = 57
ITEMS = make_items(COUNT)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Style:
    """A server, and the rows of each stream of its example."""

    respond: Callable[[ReceivedRequest], Reply]
    rows: dict[str, Rows]


def cut(
    request: ReceivedRequest, param: str, size: int, *, first: int = 0, cap: int = 10
) -> tuple[Rows, int]:
    """Return the records from the number in the parameter on, at most `cap`, and the number of the next record."""
    start = int(request.params.get(param, first)) - first
    rows = ITEMS[start : start + min(size, cap)]
    return rows, start + len(rows)


def size_of(request: ReceivedRequest, param: str) -> int:
    return int(request.params.get(param, 10))


def self_url(request: ReceivedRequest, rest: str) -> str:
    return f"http://{request.headers['host']}{rest}"


def refused() -> Reply:
    return Reply({"message": "Bad credentials"}, 401)


def has_header(request: ReceivedRequest, name: str, value: str) -> bool:
    return request.headers.get(name.lower()) == value


def is_bearer(request: ReceivedRequest) -> bool:
    return has_header(request, "Authorization", "Bearer your-token")


def has_issued_token(request: ReceivedRequest) -> bool:
    return has_header(request, "Authorization", "Bearer issued")


def is_basic(request: ReceivedRequest, user: str, password: str) -> bool:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return has_header(request, "Authorization", f"Basic {pair}")


def issue_token(request: ReceivedRequest, **expected: str) -> Reply:
    """Answer the request for an access token, which has to have these fields in its form."""
    form = dict(parse_qsl(request.body.decode()))
    if request.method != "POST" or any(form.get(name) != value for name, value in expected.items()):
        return Reply({"error": "invalid_client"}, 400)
    return Reply({"access_token": "issued", "token_type": "Bearer", "expires_in": 3600})


def linked(request: ReceivedRequest, records: str = "", **extra: Any) -> Reply:
    """Return a page with a Link header, by the parameter `page`."""
    number = int(request.params.get("page", 1))
    size = min(int(request.params.get("per_page") or request.params.get("limit") or 10), 10)
    rows = ITEMS[(number - 1) * size : number * size]
    link = f'<{self_url(request, request.path)}?page={number + 1}&per_page={size}>; rel="next"'
    headers = {"Link": link} if number * size < COUNT else {}
    return Reply({records: rows, **extra} if records else rows, headers=headers)


def github(request: ReceivedRequest) -> Reply:
    if not is_bearer(request) or "x-github-api-version" not in request.headers:
        return refused()
    if request.path.endswith("/comments"):
        issue = int(request.path.split("/")[-2])
        return Reply([{"id": issue * 100 + n} for n in range(issue % 3)])
    if request.params.get("state") != "all" and "page" not in request.params:
        return Reply([])
    reply = linked(request)
    reply.body = [{**row, "number": row["id"]} for row in reply.body]
    return reply


def github_graphql(request: ReceivedRequest) -> Reply:
    if not is_bearer(request) or request.method != "POST":
        return refused()
    if "issues(first: 10, after: $after)" not in request.json["query"]:
        return Reply({"errors": [{"message": "Parse error"}]})
    start = int((request.json.get("variables") or {}).get("after") or 0)
    rows = ITEMS[start : start + 10]
    info = {"endCursor": str(start + len(rows)), "hasNextPage": start + 10 < COUNT}
    issues = {"edges": [{"node": row} for row in rows], "pageInfo": info}
    return Reply({"data": {"repository": {"issues": issues}}})


def gitlab(request: ReceivedRequest) -> Reply:
    if not has_header(request, "PRIVATE-TOKEN", "your-token"):
        return refused()
    number = int(request.params.get("page", 1))
    following = str(number + 1) if number * 10 < COUNT else ""
    return Reply(ITEMS[(number - 1) * 10 : number * 10], headers={"X-Next-Page": following})


def stripe(request: ReceivedRequest) -> Reply:
    if not is_basic(request, "sk_test", ""):
        return refused()
    rows, following = cut(request, "starting_after", size_of(request, "limit"))
    return Reply({"object": "list", "data": rows, "has_more": following < COUNT})


def shopify(request: ReceivedRequest) -> Reply:
    if not has_header(request, "X-Shopify-Access-Token", "your-token"):
        return refused()
    return linked(request, "products")


def hubspot(request: ReceivedRequest) -> Reply:
    if request.path == "/oauth/v1/token":
        return issue_token(
            request,
            grant_type="refresh_token",
            refresh_token="your-refresh-token",
            client_id="app",
            client_secret="your-secret",
        )
    if not has_issued_token(request):
        return refused()
    rows, following = cut(request, "after", size_of(request, "limit"))
    paging = {"paging": {"next": {"after": str(following), "link": "?after="}}}
    return Reply({"results": rows, **(paging if following < COUNT else {})})


def notion(request: ReceivedRequest) -> Reply:
    if not is_bearer(request) or request.method != "POST" or request.json.get("sorts") != []:
        return refused()
    start = int(request.json.get("start_cursor", 0))
    rows = ITEMS[start : start + min(request.json["page_size"], 10)]
    more = start + len(rows) < COUNT
    cursor = str(start + len(rows)) if more else None
    return Reply({"object": "list", "results": rows, "next_cursor": cursor, "has_more": more})


def slack(request: ReceivedRequest) -> Reply:
    if not is_bearer(request):
        return Reply({"ok": False, "error": "invalid_auth"})
    rows, following = cut(request, "cursor", size_of(request, "limit"))
    cursor = str(following) if following < COUNT else ""
    return Reply({"ok": True, "channels": rows, "response_metadata": {"next_cursor": cursor}})


def zendesk(request: ReceivedRequest) -> Reply:
    if not is_basic(request, "me@example.com/token", "your-token"):
        return refused()
    rows, following = cut(request, "page[after]", size_of(request, "page[size]"))
    link = self_url(request, f"{request.path}?page[after]={following}&page[size]=10")
    meta = {"has_more": following < COUNT, "after_cursor": str(following)}
    return Reply({"tickets": rows, "meta": meta, "links": {"prev": None, "next": link}})


def salesforce(request: ReceivedRequest) -> Reply:
    if request.path == "/services/oauth2/token":
        return issue_token(request, grant_type="client_credentials", client_secret="your-secret")
    if not has_issued_token(request):
        return refused()
    start = int(request.path.rpartition("-")[2]) if "-" in request.path else 0
    if not start and "q" not in request.params:
        return Reply([{"errorCode": "MALFORMED_QUERY"}], 400)
    following = start + 10
    done = following >= COUNT
    link = {} if done else {"nextRecordsUrl": f"/services/data/v60.0/query/01g-{following}"}
    return Reply({"totalSize": COUNT, "done": done, "records": ITEMS[start:following], **link})


def graph(request: ReceivedRequest) -> Reply:
    if request.path == "/tenant/oauth2/v2.0/token":
        scope = "https://graph.microsoft.com/.default"
        return issue_token(request, grant_type="client_credentials", scope=scope)
    if not has_issued_token(request):
        return refused()
    rows, following = cut(request, "$skiptoken", size_of(request, "$top"))
    link = {"@odata.nextLink": self_url(request, f"{request.path}?$skiptoken={following}")}
    return Reply({"@odata.context": "x", "value": rows, **(link if following < COUNT else {})})


def google(request: ReceivedRequest) -> Reply:
    if not is_bearer(request):
        return refused()
    if request.path.endswith("/calendarList"):
        return Reply({"kind": "calendar#calendarList", "items": [{"id": "a/b"}, {"id": "empty"}]})
    if "/calendars/empty/" in request.path:
        return Reply({"kind": "calendar#events", "etag": "x"})
    rows, following = cut(request, "pageToken", size_of(request, "maxResults"))
    cursor = {"nextPageToken": str(following)} if following < COUNT else {}
    return Reply({"kind": "calendar#events", "items": rows, **cursor})


def airtable(request: ReceivedRequest) -> Reply:
    if not is_bearer(request):
        return refused()
    rows, following = cut(request, "offset", size_of(request, "pageSize"))
    return Reply({"records": rows, **({"offset": str(following)} if following < COUNT else {})})


def jira(request: ReceivedRequest) -> Reply:
    if not is_basic(request, "me@example.com", "your-token"):
        return refused()
    rows, _ = cut(request, "startAt", size_of(request, "maxResults"), cap=50)
    start = int(request.params["startAt"])
    return Reply({"startAt": start, "maxResults": 50, "total": COUNT, "issues": rows})


def confluence(request: ReceivedRequest) -> Reply:
    if not is_basic(request, "me@example.com", "your-token"):
        return refused()
    rows, following = cut(request, "cursor", size_of(request, "limit"))
    links = {"base": "https://example.atlassian.net/wiki"}
    if following < COUNT:
        links["next"] = f"/wiki/api/v2/pages?cursor={following}"
    return Reply({"results": rows, "_links": links})


def elasticsearch(request: ReceivedRequest) -> Reply:
    if not has_header(request, "Authorization", "ApiKey your-key") or request.method != "POST":
        return refused()
    [_, start] = request.json.get("search_after", ["", 0])
    rows = ITEMS[start : start + request.json["size"]]
    hits = [{"_source": row, "sort": ["2024-01-01", row["id"]]} for row in rows]
    return Reply({"took": 1, "hits": {"total": {"value": COUNT}, "hits": hits}})


def algolia(request: ReceivedRequest) -> Reply:
    if not has_header(request, "X-Algolia-API-Key", "your-key"):
        return refused()
    number = request.json["page"]
    rows = ITEMS[number * 10 : number * 10 + request.json["hitsPerPage"]]
    return Reply({"hits": rows, "page": number, "nbHits": COUNT, "nbPages": 6, "hitsPerPage": 10})


def wordpress(request: ReceivedRequest) -> Reply:
    number = int(request.params["page"])
    if number > 6:
        return Reply(
            {"code": "rest_post_invalid_page_number", "message": "The page number is larger."}, 400
        )
    rows = ITEMS[(number - 1) * 10 : number * 10]
    return Reply(rows, headers={"X-WP-Total": str(COUNT), "X-WP-TotalPages": "6"})


def openalex(request: ReceivedRequest) -> Reply:
    cursor = request.params["cursor"]
    start = 0 if cursor == "*" else int(cursor)
    following = str(start + 10) if start + 10 < COUNT else None
    meta = {"count": COUNT, "per_page": 10, "next_cursor": following}
    return Reply({"meta": meta, "results": ITEMS[start : start + 10]})


def x(request: ReceivedRequest) -> Reply:
    if not is_bearer(request):
        return refused()
    if request.path.endswith("/mentions"):
        return Reply({"meta": {"result_count": 0}})
    rows, following = cut(request, "pagination_token", size_of(request, "max_results"))
    cursor = {"next_token": str(following)} if following < COUNT else {}
    return Reply({"data": rows, "meta": {"result_count": len(rows), "newest_id": "1", **cursor}})


def mailchimp(request: ReceivedRequest) -> Reply:
    if not is_basic(request, "key", "your-key"):
        return refused()
    rows, _ = cut(request, "offset", size_of(request, "count"))
    return Reply({"lists": rows, "total_items": COUNT, "_links": [{"rel": "self", "href": "x"}]})


def zoho(request: ReceivedRequest) -> Reply:
    if not has_header(request, "Authorization", "Zoho-oauthtoken your-token"):
        return refused()
    if request.path.endswith("/Deals"):
        return Reply(b"", 204)
    number = int(request.params["page"])
    rows = ITEMS[(number - 1) * 10 : number * 10]
    info = {"per_page": 10, "count": len(rows), "page": number, "more_records": number < 6}
    return Reply({"data": rows, "info": info})


def paypal(request: ReceivedRequest) -> Reply:
    if request.path == "/v1/oauth2/token":
        if not is_basic(request, "app", "your-secret"):
            return refused()
        return issue_token(request, grant_type="client_credentials")
    if not has_issued_token(request):
        return refused()
    number = int(request.params["page"])
    rows = ITEMS[(number - 1) * 10 : number * 10]
    return Reply({"products": rows, "total_items": COUNT, "total_pages": 6})


def spring(request: ReceivedRequest) -> Reply:
    number, size = int(request.params["page"]), int(request.params["size"])
    rows = ITEMS[number * size : (number + 1) * size]
    page = {"size": size, "totalElements": COUNT, "totalPages": 3, "number": number}
    return Reply({"_embedded": {"orders": rows}, "page": page, "_links": {"self": {"href": "x"}}})


def scim(request: ReceivedRequest) -> Reply:
    if not is_bearer(request):
        return refused()
    rows, _ = cut(request, "startIndex", size_of(request, "count"), first=1)
    return Reply({"totalResults": COUNT, "startIndex": 1, "Resources": rows})


def firebase(request: ReceivedRequest) -> Reply:
    if request.params.get("auth") != "your-key":
        return refused()
    return Reply({f"u{row['id']}": {"name": row["name"]} for row in ITEMS})


def pokeapi(request: ReceivedRequest) -> Reply:
    name = unquote(request.path).removeprefix("/api/v2/pokemon").strip("/")
    if name == "item 7":
        return Reply("Not Found", 404)
    if name:
        return Reply({"id": int(name.split()[-1]), "name": name})
    rows, following = cut(request, "offset", size_of(request, "limit"))
    other_host = request.headers["host"].replace("127.0.0.1", "localhost")
    link = f"http://{other_host}{request.path}?offset={following}" if following < COUNT else None
    return Reply({"count": COUNT, "next": link, "results": [{"name": row["name"]} for row in rows]})


NUMBERED = [{**row, "number": row["id"]} for row in ITEMS]
STYLES: dict[str, Style] = {
    "GitHub": Style(
        github,
        {
            "issues": NUMBERED,
            "comments": [
                {"id": issue * 100 + n, "_issues_number": issue}
                for issue in range(1, COUNT + 1)
                for n in range(issue % 3)
            ],
        },
    ),
    "GitHub GraphQL": Style(github_graphql, {"issues": ITEMS}),
    "GitLab": Style(gitlab, {"projects": ITEMS}),
    "Stripe": Style(stripe, {"charges": ITEMS}),
    "Shopify": Style(shopify, {"products": ITEMS}),
    "HubSpot": Style(hubspot, {"contacts": ITEMS}),
    "Notion": Style(notion, {"tasks": ITEMS}),
    "Slack": Style(slack, {"channels": ITEMS}),
    "Zendesk": Style(zendesk, {"tickets": ITEMS}),
    "Salesforce": Style(salesforce, {"accounts": ITEMS}),
    "Microsoft Graph": Style(graph, {"users": ITEMS}),
    "Google Calendar": Style(
        google,
        {
            "calendars": [{"id": "a/b"}, {"id": "empty"}],
            "events": [{**row, "_calendars_id": "a/b"} for row in ITEMS],
        },
    ),
    "Airtable": Style(airtable, {"tasks": ITEMS}),
    "Jira": Style(jira, {"issues": ITEMS}),
    "Confluence": Style(confluence, {"pages": ITEMS}),
    "Elasticsearch": Style(elasticsearch, {"logs": ITEMS}),
    "Algolia": Style(algolia, {"products": ITEMS}),
    "WordPress": Style(wordpress, {"posts": ITEMS, "pages": ITEMS}),
    "OpenAlex": Style(openalex, {"works": ITEMS}),
    "X": Style(x, {"posts": ITEMS, "mentions": []}),
    "Mailchimp": Style(mailchimp, {"lists": ITEMS}),
    "Zoho CRM": Style(zoho, {"leads": ITEMS, "deals": []}),
    "PayPal": Style(paypal, {"products": ITEMS}),
    "Spring Data": Style(spring, {"orders": ITEMS}),
    "SCIM": Style(scim, {"users": ITEMS}),
    "Firebase": Style(
        firebase, {"users": [{"id": f"u{row['id']}", "name": row["name"]} for row in ITEMS]}
    ),
    "PokéAPI": Style(
        pokeapi,
        {
            "names": [{"name": row["name"]} for row in ITEMS],
            "pokemon": [row for row in ITEMS if row["id"] != 7],
        },
    ),
}


def local_config(text: str, url: str) -> dict[str, Any]:
    """Return the settings of an example, with the local server in place of the API's hosts."""
    config: dict[str, Any] = json.loads(text)
    host = config["base_url"].split("/")[2]
    config["base_url"] = config["base_url"].replace(f"https://{host}", url)
    auth = config.get("auth", {})
    if "access_token_url" in auth:
        path = auth["access_token_url"].split("/", 3)[3]
        auth["access_token_url"] = f"{url}/{path}"
    if "link_hosts" in config:
        config["link_hosts"] = ["localhost"]
    return {**config, "retries": 0, "timeout": 10}
