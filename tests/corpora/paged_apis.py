"""Servers that answer page by page, each with its own habits, for both readers of pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from apps.engine.failures import EngineError
from apps.engine.library import failures
from apps.engine.sources.rest.paging import Pagination
from tests.engine.sources.api import Api, ReceivedRequest, Reply, RequestHandler, serve_api
from tests.engine.sources.reading import make_source

MAX_PAGES = 200  # more than any case needs


def make_items(count: int) -> list[dict[str, Any]]:
    return [{"id": number, "name": f"item {number}"} for number in range(1, count + 1)]


@dataclass(frozen=True)
class PagedApi:
    """A server, the settings for it, and what must arrive: all `rows`, or a failure with this text."""

    respond: RequestHandler
    pagination: dict[str, Any]
    rows: list[Any] | None = None  # None for a failed run
    says: str = ""
    records: str = "data"
    end_statuses: tuple[int, ...] = ()
    requests: int = 40  # the most requests that the read may take
    is_retryable: bool = False  # whether a failure may be gone with the next attempt
    resumes: bool = False  # whether to read again from every token


@dataclass
class Outcome:
    """What a read of a stream resulted in."""

    rows: list[Any] = field(default_factory=list)
    failure: str = ""
    message: str = ""
    evidence: str = ""
    is_retryable: bool = False
    requests: list[ReceivedRequest] = field(default_factory=list)
    tokens: list[dict[str, Any]] = field(default_factory=list)
    resumed: list[list[Any]] = field(default_factory=list)  # the rows from each token on


ReadPage = Callable[[dict[str, Any]], tuple[list[Any], dict[str, Any]]]


def read_with_rest(case: PagedApi) -> Outcome:
    """Read the server with the `rest` source."""
    with serve_api(case.respond) as api:
        source = make_source("rest", rest_config(case, api), "items")

        def read_page(token: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
            page: Any = source.get(token)
            return page.rows, page.next_pagination

        return _read(case, api, read_page)


def rest_config(case: PagedApi, api: Api) -> dict[str, Any]:
    actions = [{"status_code": status, "action": "end"} for status in case.end_statuses]
    stream = {
        "name": "items",
        "path": "/items",
        "records_path": case.records,
        "pagination": case.pagination,
        "response_actions": actions,
    }
    return {"base_url": api.url, "streams": [stream], "retries": 0, "timeout": 5}


def read_with_drover(case: PagedApi) -> Outcome:
    """Read the server with the base class of custom sources, without a sandbox."""
    # `apps.engine.library` makes the package importable.
    from drover import RestSource, Stream
    from drover._source import SettingValues, StreamSettings

    with serve_api(case.respond) as api:
        settings: Any = TypeAdapter(Pagination).validate_python(case.pagination)
        stream = Stream(
            "items",
            path="/items",
            records=case.records,
            paging=settings.style(),
            end_statuses=case.end_statuses,
        )
        source_class = type("Items", (RestSource,), {"base_url": api.url, "streams": [stream]})
        source = source_class(SettingValues(None, {}), StreamSettings("items"))

        def read_page(token: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
            page = source.get(token or None)
            return list(page.rows), page.next_pagination or {}

        return _read(case, api, read_page)


READERS: dict[str, Callable[[PagedApi], Outcome]] = {
    "rest": read_with_rest,
    "custom source": read_with_drover,
}


def _read(case: PagedApi, api: Api, read_page: ReadPage) -> Outcome:
    outcome = Outcome(requests=api.requests)
    try:
        _read_all(read_page, {}, outcome)
    except EngineError as error:
        return _failed(outcome, str(error.failure_class), error)
    except failures.SourceFailure as error:
        return _failed(outcome, error.failure, error)
    for token in outcome.tokens if case.resumes else ():
        resumed = Outcome()
        _read_all(read_page, token, resumed)
        outcome.resumed.append(resumed.rows)
    return outcome


def _read_all(read_page: ReadPage, token: dict[str, Any], outcome: Outcome) -> None:
    """Add the rows from this token to the end to the outcome. Tokens are stored as JSON between the pages."""
    for _ in range(MAX_PAGES):
        outcome.tokens.append(token)
        rows, following = read_page(token)
        outcome.rows += rows
        token = json.loads(json.dumps(following))
        if not token:
            return
    raise AssertionError(f"the walk did not end after {MAX_PAGES} pages")


def _failed(outcome: Outcome, failure: str, error: Any) -> Outcome:
    outcome.failure, outcome.message = failure, str(error)
    outcome.evidence, outcome.is_retryable = "\n".join(error.evidence), error.retryable
    return outcome


def slice_of(items: list[Any], start: int, size: int) -> list[Any]:
    return items[start : start + size]


def json_reply(**fields: Any) -> Reply:
    return Reply(fields)
