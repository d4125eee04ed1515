"""Servers that end their lists as well-known public APIs do, with the settings to read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.engine.sources.api import ReceivedRequest, Reply

PAGE = 10  # records
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Asked:
    """A request to one of the servers."""

    rows: Rows
    request: ReceivedRequest

    def text(self, name: str, default: str = "") -> str:
        """Return the parameter, or the value in the JSON body."""
        if self.request.body:
            return str(self.request.json.get(name, default))
        return self.request.params.get(name, default)

    def number(self, name: str, default: int = 0) -> int:
        digits = "".join(char for char in self.text(name) if char.isdigit())
        return int(digits or default)

    def page_at(self, start: int, size: int = PAGE) -> tuple[Rows, bool]:
        """Return the records from the position on, and whether more follow."""
        return self.rows[start : start + size], start + size < len(self.rows)

    def link(self, query: str) -> str:
        return f"http://{self.request.headers['host']}/items?{query}"


@dataclass(frozen=True)
class PublicApi:
    """How an API answers, and the settings of its stream."""

    answer: Callable[[Asked], Any]
    pagination: Mapping[str, Any]
    records: str = "data"
    stream: Mapping[str, Any] = field(default_factory=dict)


def with_links(rows: Rows, *links: str) -> Reply:
    return Reply(rows, headers={"Link": ", ".join(links)} if links else {})


def stripe_search(asked: Asked) -> Any:
    start = asked.number("page")
    rows, more = asked.page_at(start)
    following = f"p{start + PAGE}" if more else None
    return {"object": "search_result", "has_more": more, "data": rows, "next_page": following}


def hubspot(asked: Asked) -> Any:
    start, size = asked.number("after"), asked.number("limit", PAGE)
    rows, more = asked.page_at(start, size)
    return {"results": rows} | ({"paging": {"next": {"after": str(start + size)}}} if more else {})


def zendesk_incremental(asked: Asked) -> Any:
    """The last page has a link too, which leads to an empty page with a link to itself."""
    start = asked.number("cursor")
    rows, more = asked.page_at(start)
    after = f"x{start + len(rows)}"
    return {
        "tickets": rows,
        "after_url": asked.link(f"cursor={after}"),
        "after_cursor": after,
        "end_of_stream": not more,
    }


def mailgun(asked: Asked) -> Any:
    """Each page has another link, also an empty one."""
    start = asked.number("at")
    rows, _ = asked.page_at(start)
    page = int(asked.text("n", "0")) + 1
    return {"items": rows, "paging": {"next": asked.link(f"n={page}&at={start + len(rows)}")}}


def facebook(asked: Asked) -> Any:
    start, size = asked.number("after"), asked.number("limit", PAGE)
    rows, more = asked.page_at(start, size)
    if not rows:
        return {"data": []}
    paging: dict[str, Any] = {"cursors": {"before": f"b{start}", "after": f"a{start + len(rows)}"}}
    if more:
        paging["next"] = asked.link(f"limit={size}&after=a{start + size}")
    return {"data": rows, "paging": paging}


def mastodon(asked: Asked) -> Any:
    """The last page has a link too, and the empty page after it has none."""
    rows, _ = asked.page_at(asked.number("max_id"))
    if not rows:
        return with_links([])
    following = asked.link(f"max_id={rows[-1]['id']}")
    return with_links(rows, f'<{following}>; rel="next"')


def okta_logs(asked: Asked) -> Any:
    """Every page has a link; that of an empty page leads to itself."""
    start = asked.number("after")
    rows, _ = asked.page_at(start)
    own, following = asked.link(""), asked.link(f"after=x{start + len(rows)}")
    return with_links(rows, f'<{own}>; rel="self"', f'<{following}>; rel="next"')


def sentry(asked: Asked) -> Any:
    """Every page has a link, with the word whether it leads to results."""
    start = int((asked.text("cursor") or "0:0:0").split(":")[1])
    rows, more = asked.page_at(start)
    following = asked.link(f"cursor=0:{start + PAGE}:0")
    return with_links(rows, f'<{following}>; rel="next"; results="{str(more).lower()}"')


def asana(asked: Asked) -> Any:
    start = asked.number("offset")
    rows, more = asked.page_at(start)
    return {"data": rows, "next_page": {"offset": f"e{start + PAGE}"} if more else None}


def typeform(asked: Asked) -> Any:
    """The total is that of the remaining records."""
    rows = asked.rows[asked.number("before") :]
    return {"total_items": len(rows), "page_count": -(-len(rows) // PAGE), "data": rows[:PAGE]}


def intercom(asked: Asked) -> Any:
    start, size = asked.number("starting_after"), asked.number("per_page", PAGE)
    rows, more = asked.page_at(start, size)
    pages: dict[str, Any] = {"page": start // size + 1, "total_pages": -(-len(asked.rows) // size)}
    if more:
        pages["next"] = {"page": pages["page"] + 1, "starting_after": f"x{start + size}"}
    return {"type": "list", "data": rows, "total_count": len(asked.rows), "pages": pages}


def kubernetes(asked: Asked) -> Any:
    start, size = asked.number("continue"), asked.number("limit", PAGE)
    rows, more = asked.page_at(start, size)
    following = {"continue": f"k{start + size}", "remainingItemCount": 1} if more else {}
    return {"kind": "PodList", "metadata": {"resourceVersion": "1452", **following}, "items": rows}


def pipedrive(asked: Asked) -> Any:
    start, size = asked.number("start"), asked.number("limit", PAGE)
    rows, more = asked.page_at(start, size)
    place = {"start": start, "limit": size, "more_items_in_collection": more}
    following = {"next_start": start + size} if more else {}
    return {
        "success": True,
        "data": rows or None,
        "additional_data": {"pagination": place | following},
    }


def crossref(asked: Asked) -> Any:
    start = asked.number("cursor")
    rows, _ = asked.page_at(start)
    message = {"total-results": len(asked.rows), "items": rows}
    return {"status": "ok", "message": message | {"next-cursor": f"c{start + len(rows)}"}}


def magento(asked: Asked) -> Any:
    """A number after the last page is taken for that of the last page."""
    last = max(-(-len(asked.rows) // PAGE), 1)
    rows, _ = asked.page_at((min(asked.number("page", 1), last) - 1) * PAGE)
    return {"data": rows, "total_count": len(asked.rows)}


def workday(asked: Asked) -> Any:
    """The total is told on the first page only."""
    start = asked.number("offset")
    return {"total": 0 if start else len(asked.rows), "data": asked.page_at(start)[0]}


def elasticsearch(asked: Asked) -> Any:
    rows, _ = asked.page_at(asked.number("from"), asked.number("size", PAGE))
    hits = [{"_id": str(row["id"]), "_source": row} for row in rows]
    return {
        "took": len(rows) + 1,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "hits": {"total": {"value": len(asked.rows), "relation": "eq"}, "hits": hits},
    }


def google_analytics(asked: Asked) -> Any:
    """The list and its number are left out if there are no rows, but not the list of the columns."""
    rows, _ = asked.page_at(asked.number("offset"))
    found = {"rows": rows, "rowCount": len(asked.rows)} if rows else {}
    return {"dimensionHeaders": [{"name": "date"}], **found, "kind": "analyticsData#runReport"}


def search_console(asked: Asked) -> Any:
    rows, _ = asked.page_at(asked.number("startRow"))
    return ({"rows": rows} if rows else {}) | {"responseAggregationType": "byProperty"}


def dynamodb(asked: Asked) -> Any:
    """A filter leaves nothing of the first 13 pages."""
    start = asked.number("start", 0)
    rows, more = asked.page_at(start - 130) if start >= 130 else ([], True)
    return {"Items": rows, "Count": len(rows)} | ({"start": f"s{start + PAGE}"} if more else {})


def stack_exchange(asked: Asked) -> Any:
    page = asked.number("page", 1)
    rows, more = asked.page_at((page - 1) * PAGE)
    return {"items": rows, "has_more": more, "quota_remaining": 300 - page} | (
        {} if more else {"backoff": 10}
    )


def with_message(asked: Asked) -> Any:
    rows, _ = asked.page_at((asked.number("page", 1) - 1) * PAGE)
    return {"data": rows, "message": "Records retrieved" if rows else "No records found"}


def xero(asked: Asked) -> Any:
    page = asked.number("page", 1)
    return {"Id": f"a1-{page}", "Status": "OK", "Invoices": asked.page_at((page - 1) * PAGE)[0]}


def microsoft_graph_delta(asked: Asked) -> Any:
    start = asked.number("$skiptoken")
    rows, more = asked.page_at(start)
    name, query = (
        ("next", f"$skiptoken=x{start + PAGE}") if more else ("delta", "$deltatoken=y4abc")
    )
    return {"value": rows, f"@odata.{name}Link": asked.link(query)}


def fhir(asked: Asked) -> Any:
    """The link is one of a list, by its relation."""
    start = asked.number("at")
    rows, more = asked.page_at(start)
    links = [{"relation": "self", "url": asked.link("")}]
    if more:
        links.append({"relation": "next", "url": asked.link(f"at={start + PAGE}")})
    entries = [{"resource": row} for row in rows]
    return {"resourceType": "Bundle", "link": links} | ({"entry": entries} if entries else {})


def json_api(asked: Asked) -> Any:
    """The link is an object, or null."""
    start = asked.number("at")
    rows, more = asked.page_at(start)
    following = {"href": asked.link(f"at={start + PAGE}"), "meta": {}} if more else None
    return {"data": rows, "links": {"self": {"href": asked.link("")}, "next": following}}


def cursor_of(path: str, param: str, **more: Any) -> dict[str, Any]:
    return {"type": "cursor", "cursor_path": path, "cursor_param": param, **more}


def links_at(path: str = "", **more: Any) -> dict[str, Any]:
    return {"type": "next_link", **({"link_path": path} if path else {}), **more}


SIZED = {"page_size": PAGE}
PAGES = {"type": "page"}
BY_POST = {"method": "POST", "json": {"sort": []}}
PUBLIC_APIS: dict[str, PublicApi] = {
    "Stripe search": PublicApi(stripe_search, cursor_of("next_page", "page", more_path="has_more")),
    "HubSpot": PublicApi(
        hubspot, cursor_of("paging.next.after", "after", size_param="limit", **SIZED), "results"
    ),
    "Zendesk incremental, links": PublicApi(zendesk_incremental, links_at("after_url"), "tickets"),
    "Zendesk incremental, cursors": PublicApi(
        zendesk_incremental, cursor_of("after_cursor", "cursor"), "tickets"
    ),
    "Mailgun": PublicApi(mailgun, links_at("paging.next", stop_after_empty_page=True), "items"),
    "Facebook, links": PublicApi(facebook, links_at("paging.next", size_param="limit", **SIZED)),
    "Facebook, cursors": PublicApi(facebook, cursor_of("paging.cursors.after", "after")),
    "Mastodon": PublicApi(mastodon, links_at(), ""),
    "Okta logs": PublicApi(okta_logs, links_at(), ""),
    "Sentry": PublicApi(sentry, links_at(), ""),
    "Asana": PublicApi(asana, cursor_of("next_page.offset", "offset", size_param="limit", **SIZED)),
    "Typeform": PublicApi(typeform, cursor_of("data.-1.id", "before")),
    "Intercom": PublicApi(
        intercom,
        cursor_of("pages.next.starting_after", "starting_after", size_param="per_page", **SIZED),
    ),
    "Kubernetes": PublicApi(
        kubernetes,
        cursor_of("metadata.continue", "continue", size_param="limit", **SIZED),
        "items",
    ),
    "Pipedrive, cursors": PublicApi(
        pipedrive,
        cursor_of(
            "additional_data.pagination.next_start",
            "start",
            more_path="additional_data.pagination.more_items_in_collection",
        ),
    ),
    "Pipedrive, offsets": PublicApi(
        pipedrive, {"type": "offset", "offset_param": "start", **SIZED}
    ),
    "Crossref": PublicApi(
        crossref,
        cursor_of("message.next-cursor", "cursor"),
        "message.items",
        {"params": {"cursor": "*"}},
    ),
    "Magento": PublicApi(magento, PAGES),
    "Workday": PublicApi(workday, {"type": "offset", **SIZED}),
    "Workday, total": PublicApi(workday, {"type": "offset", **SIZED, "total_path": "total"}),
    "Elasticsearch": PublicApi(
        elasticsearch,
        {"type": "offset", "offset_body_path": "from", "limit_body_path": "size", **SIZED},
        "hits.hits[]._source",
        BY_POST,
    ),
    "Google Analytics": PublicApi(
        google_analytics,
        {"type": "offset", "offset_body_path": "offset", **SIZED, "hints": False},
        "rows",
        BY_POST,
    ),
    "Google Search Console": PublicApi(
        search_console,
        {"type": "offset", "offset_body_path": "startRow", **SIZED},
        "rows",
        BY_POST,
    ),
    "DynamoDB": PublicApi(
        dynamodb,
        {**cursor_of("start", "x", hints=False), "cursor_body_path": "start"},
        "Items",
        BY_POST,
    ),
    "Stack Exchange": PublicApi(stack_exchange, {**PAGES, "more_path": "has_more"}, "items"),
    "Stack Exchange, no flag": PublicApi(stack_exchange, PAGES, "items"),
    "a message on the last page": PublicApi(with_message, PAGES),
    "Xero": PublicApi(xero, PAGES, "Invoices"),
    "FHIR": PublicApi(fhir, links_at("link"), "entry[].resource"),
    "JSON:API": PublicApi(json_api, links_at("links.next")),
    "Microsoft Graph, delta": PublicApi(
        microsoft_graph_delta, links_at("'@odata.nextLink'"), "value"
    ),
}
