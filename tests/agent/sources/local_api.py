"""Local HTTP APIs of different authentication and pagination, each with a document that describes it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "canary-of-an-api-7q2x"
PAGE_SIZE = 5
ROWS = [
    {"id": number, "name": f"order {number}", "updated_at": f"2026-11-{number:02}T00:00:00Z"}
    for number in range(1, 13)
]
CUSTOMER = {"name": "Ada", "tags": ["a", {"b": 1}]}
CONFIGS: dict[str, dict[str, str]] = {
    "none": {},
    "bearer": {"token": TOKEN},
    "basic": {"user": "ada", "password": TOKEN},
    "header_key": {"api_key": TOKEN},
    "query_key": {"api_key": TOKEN},
    "client_credentials": {"client_id": "app", "client_secret": TOKEN},
}


@dataclass(frozen=True)
class Style:
    """How an API names things. Each style is one that public APIs use."""

    name: str
    page: str
    size: str
    offset: str
    cursor: str
    next_cursor: str
    next_url: str
    records: str
    since: str


STYLES = (
    Style("plain", "page", "per_page", "offset", "cursor", "next_cursor", "next", "data", "since"),
    Style(
        *("camel", "pageNumber", "pageSize", "skip", "pageToken", "nextPageToken"),
        *("links.next", "items", "updatedSince"),
    ),
    Style(
        *("nested", "page[number]", "page[size]", "startAt", "page[after]", "meta.next_cursor"),
        *("_links.next.href", "result.orders", "filter[updated_since]"),
    ),
)


class Special(StrEnum):
    """What is unusual about an API."""

    EMPTY_PAGE = "empty-page"  # the page between the first two others is empty; only with cursors
    NESTED_RECORDS = "nested-records"
    NO_RECORDS = "no-records"
    TOO_MANY_REQUESTS = "too-many-requests"  # each third request is answered with 429


@dataclass(frozen=True)
class LocalApi:
    """One API: its authentication, pagination and style, and the form of its document."""

    authentication: str
    pagination: str
    style: Style
    form: str  # openapi, openapi_yaml, swagger
    special: Special | None = None

    @property
    def label(self) -> str:
        label = f"{self.authentication}-{self.pagination}-{self.style.name}-{self.form}"
        return f"{label}-{self.special}" if self.special else label

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return all records of the API."""
        if self.special == Special.NO_RECORDS:
            return []
        if self.special == Special.NESTED_RECORDS:
            return [{**row, "customer": CUSTOMER} for row in ROWS]
        return ROWS

    @property
    def read_rows(self) -> list[dict[str, Any]]:
        """Return all records as they are read: an object inside a record becomes JSON."""
        if self.special == Special.NESTED_RECORDS:
            text = json.dumps(CUSTOMER, separators=(",", ":"))
            return [{**row, "customer": text} for row in self.rows]
        return self.rows

    @property
    def config(self) -> dict[str, str]:
        return CONFIGS[self.authentication]

    def is_authorized(self, headers: Any, query: dict[str, str]) -> bool:
        pair = base64.b64encode(f"ada:{TOKEN}".encode()).decode()
        checks: dict[str, bool] = {
            "none": True,
            "bearer": headers["Authorization"] == f"Bearer {TOKEN}",
            "basic": headers["Authorization"] == f"Basic {pair}",
            "header_key": headers["X-Shop-Key"] == TOKEN,
            "query_key": query.get("shop_key") == TOKEN,
            "client_credentials": headers["Authorization"] == "Bearer issued",
        }
        return checks[self.authentication]

    def answer(self, query: dict[str, str], url: str) -> tuple[dict[str, Any] | list[Any], str]:
        """Return the body and the Link header of the response."""
        style, rows = self.style, self.rows
        if since := query.get(style.since):
            rows = [row for row in rows if str(row["updated_at"]) > since]
        start, size = self._start_and_size(query, len(rows))
        page = rows[start : start + size]
        rest = start + size < len(rows)
        following = start + size if rest else None
        next_page = f"{url}?from={following}" if rest else None
        if self.pagination == "link_header":
            return page, f'<{next_page}>; rel="next"' if next_page else ""
        body: dict[str, Any] = {}
        put(body, style.records, page)
        if self.pagination == "cursor":
            if self.special == Special.EMPTY_PAGE:
                return self._with_empty_page(query, body, following), ""
            put(body, style.next_cursor, f"after-{following}" if rest else None)
        if self.pagination == "next_url":
            put(body, style.next_url, next_page)
        return body, ""

    def _with_empty_page(
        self, query: dict[str, str], body: dict[str, Any], following: int | None
    ) -> dict[str, Any]:
        """Return the page, or an empty one for the cursor `empty-5`, whose next cursor is `after-5`."""
        cursor = query.get(self.style.cursor, "")
        if cursor.startswith("empty-"):
            put(body, self.style.records, [])
            put(body, self.style.next_cursor, cursor.replace("empty", "after"))
        else:
            is_first = following == PAGE_SIZE
            next_cursor = f"{'empty' if is_first else 'after'}-{following}"
            put(body, self.style.next_cursor, next_cursor if following else None)
        return body

    def _start_and_size(self, query: dict[str, str], total: int) -> tuple[int, int]:
        style = self.style
        if self.pagination == "none":
            return 0, total
        if self.pagination in ("link_header", "next_url"):
            return int(query.get("from", 0)), PAGE_SIZE
        if self.pagination == "cursor":
            return int(query.get(style.cursor, "after-0").rpartition("-")[2]), PAGE_SIZE
        size = int(query.get(style.size, PAGE_SIZE))
        if size > PAGE_SIZE:
            raise ValueError("the page size is larger than the document allows")
        if self.pagination == "offset":
            return int(query.get(style.offset, 0)), size
        return (int(query.get(style.page, 1)) - 1) * size, size

    def query_parameters(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the documented query parameters with their schemas."""
        style = self.style
        size: tuple[str, dict[str, Any]] = (
            style.size,
            {"type": "integer", "maximum": PAGE_SIZE, "default": 2},
        )
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {
            "page": [(style.page, {"type": "integer"}), size],
            "offset": [(style.offset, {"type": "integer"}), size],
            "cursor": [(style.cursor, {"type": "string"}), size],
        }
        return [
            *found.get(self.pagination, []),
            (style.since, {"type": "string", "format": "date-time"}),
        ]

    def response_schema(self) -> dict[str, Any]:
        fields = {"id": "integer", "name": "string", "updated_at": "string"}
        properties = {name: {"type": kind} for name, kind in fields.items()}
        record = {"type": "object", "properties": properties}
        rows = {"type": "array", "items": record}
        if self.pagination == "link_header":
            return rows
        schema: dict[str, Any] = {"type": "object", "properties": {}}
        put_schema(schema, self.style.records, rows)
        if self.pagination == "cursor":
            put_schema(schema, self.style.next_cursor, {"type": "string"})
        if self.pagination == "next_url":
            put_schema(schema, self.style.next_url, {"type": "string", "format": "uri"})
        return schema


def put(body: dict[str, Any], place: str, value: Any) -> None:
    *outer, last = place.split(".")
    for name in outer:
        body = body.setdefault(name, {})
    body[last] = value


def put_schema(schema: dict[str, Any], place: str, value: Any) -> None:
    *outer, last = place.split(".")
    for name in outer:
        schema = schema["properties"].setdefault(name, {"type": "object", "properties": {}})
    schema["properties"][last] = value


def all_apis() -> list[LocalApi]:
    """Return 24 APIs: each authentication with four paginations, and each pagination with each style."""
    paginations = ("page", "offset", "cursor", "link_header", "next_url", "none")
    forms = ("openapi", "openapi_yaml", "swagger")
    return [
        LocalApi(
            name,
            paginations[(i + j) % 6],
            STYLES[(i + j) % 3 if j % 2 else j % 3],
            forms[(i + 2 * j) % 3],
        )
        for i, name in enumerate(CONFIGS)
        for j in range(4)
    ]


def special_apis() -> list[LocalApi]:
    """Return APIs that are unusual."""
    return [
        LocalApi("bearer", "cursor", STYLES[2], "openapi", Special.EMPTY_PAGE),
        LocalApi("none", "link_header", STYLES[0], "openapi", Special.NESTED_RECORDS),
        LocalApi("basic", "page", STYLES[0], "swagger", Special.NO_RECORDS),
        LocalApi("header_key", "next_url", STYLES[1], "openapi", Special.TOO_MANY_REQUESTS),
    ]


@contextmanager
def serve(api: LocalApi) -> Iterator[str]:
    """Run the API, and return its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _handler(api: LocalApi) -> type[BaseHTTPRequestHandler]:
    numbers = count(1)  # of the requests for records

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if not api.is_authorized(self.headers, query):
                self.respond(401, {"error": "unauthorized"}, "")
            elif parts.path != "/v1/orders":
                self.respond(404, {"error": "not found"}, "")
            elif api.special == Special.TOO_MANY_REQUESTS and next(numbers) % 3 == 1:
                self.respond(429, {"error": "too many requests"}, "")
            else:
                self.respond(200, *api.answer(query, f"http://{self.headers['Host']}/v1/orders"))

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {n: v[0] for n, v in parse_qs(self.rfile.read(length).decode()).items()}
            expected = {"grant_type": "client_credentials", **CONFIGS["client_credentials"]}
            is_right = self.path == "/token" and form == expected
            self.respond(
                200 if is_right else 401, {"access_token": "issued"} if is_right else {}, ""
            )

        def respond(self, status: int, body: Any, link: str) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if status == 429:
                self.send_header("Retry-After", "1")
            if link:
                self.send_header("Link", link)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            return

    return Handler
