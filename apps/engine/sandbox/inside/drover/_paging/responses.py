"""A page of an API as it arrived, and the records in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from drover._failures import SourceFailure
from drover._paging.faults import UnexpectedStatus
from drover._paging.nested import Nesting, find_nesting
from drover._paging.paths import (
    MISSING,
    describe,
    describe_type,
    find_container,
    find_records,
    leads_through,
    put,
    walk_objects,
)
from drover._paging.unfinished import find_incomplete
from drover._paging.values import is_end

Json = dict[str, Any]
# Headers with the number of requests that are left.
LEFT_REQUESTS = ("X-RateLimit-Remaining", "X-Rate-Limit-Remaining", "RateLimit-Remaining")
# Fields of a response that reports an error, and fields that are false then, although its status is 200.
ERROR_FIELDS = ("error", "errors", "fault", "exception", "error_message", "errorMessage")
SUCCESS_FIELDS = ("ok", "success")
SUCCESS_TEXTS = frozenset({"ok", "success", "successful"})
# Statuses with which an API refuses a position that does not exist. Others refuse the credentials or the rate.
PROBE_STATUSES = frozenset(range(400, 600)) - {401, 403, 407, 429}


@dataclass(frozen=True)
class Request:
    """What the request of a page adds to that of its stream: parameters, values in the body, or a whole URL."""

    params: Json = field(default_factory=dict)
    body: Json = field(default_factory=dict)  # values by their paths in the JSON body
    url: str | None = None

    def body_with(self, base: Mapping[str, Any] | None) -> Json | None:
        """Return the JSON body of the stream with the values of this page, or None if there is no body."""
        if base is None and not self.body:
            return None
        document = dict(base or {})
        for path, value in self.body.items():
            document = put(document, path, value)
        return document


@dataclass(frozen=True)
class Response:
    """An answer of the API. `document` is its parsed body, `next_link` the URL of its `Link` header.

    The settings may choose an action for it: "end" ends the stream after its first page, "ignore" also there.
    """

    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    next_link: str | None = None
    action: str = ""

    @property
    def has_no_content(self) -> bool:
        return self.status == HTTPStatus.NO_CONTENT


@dataclass(frozen=True)
class Page:
    """A response with its records."""

    response: Response
    records: list[Any]
    is_first: bool
    is_object: bool = False  # whether the only record is an object instead of a list
    has_list: bool = True  # whether there is a list, null instead of it, or no content at all
    nesting: Nesting | None = None  # the items whose lists have the records

    @property
    def count(self) -> int:
        """The number of items by which the pages are cut: the records, or what has them in lists.

        A single item is only a wrapper of the list that is cut.
        """
        has_items = self.nesting is not None and self.nesting.count > 1
        return self.nesting.count if self.nesting and has_items else len(self.records)

    @property
    def document(self) -> Any:
        return self.response.document

    def without_known_items(self, known: str) -> Page:
        """Return the page as one without items if they have no records and are those of the page before.

        Then they are on each page, and their lists are at their end. `known` is their identity there.
        """
        if self.nesting is None or self.records or self.nesting.identity not in ("", known):
            return self
        return replace(self, nesting=None)


def find_next_link(links: Mapping[str, Any]) -> str | None:
    """Return the URL for the next page among the links of a `Link` header, as `requests` parses it.

    A link with `results="false"` leads to a page without records.
    """
    for name, link in links.items():
        params = {key.lower(): value for key, value in link.items()}
        is_next = "next" in str(params.get("rel", name)).lower().split()
        if is_next and str(params.get("results")).lower() != "false":
            return params.get("url") or None
    return None


def limits_rate(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the response refuses the rate of the requests: by 429, or by 403 as GitHub does."""
    if status != HTTPStatus.FORBIDDEN:
        return status == HTTPStatus.TOO_MANY_REQUESTS
    return "Retry-After" in headers or any(headers.get(name) == "0" for name in LEFT_REQUESTS)


def require_success(response: Response) -> None:
    """Raise UnexpectedStatus for 304 and others that say nothing about records, unless the settings name them."""
    if not response.action and not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        raise UnexpectedStatus(f"the source returned no page, but status {response.status}")


def relation_of(link: Any) -> str:
    """Return the relation of a link object in lower case, or an empty text."""
    relation = (link.get("rel") or link.get("relation")) if isinstance(link, Mapping) else ""
    return str(relation or "").lower()


class NoRecords(SourceFailure):
    """The response has no list of records where one is expected."""

    retryable = False


class ErrorsReported(SourceFailure):
    """The response reports an error, although its status is 200 and it may have records."""


def read_page(
    response: Response,
    path: str,
    *,
    is_first: bool,
    may_be_object: bool,
    key_field: str = "",
    checks_errors: bool = True,
) -> Page:
    """Return the page with the records at the path.

    Raises NoRecords if there are none and the response is no page, and ErrorsReported.
    """
    if response.has_no_content or response.document is None or response.document == []:
        return Page(response, [], is_first)
    value = find_records(response.document, path, key_field)
    is_object = isinstance(value, Mapping) and may_be_object
    if (
        checks_errors
        and value is not MISSING
        and not is_object
        and isinstance(response.document, Mapping)
    ):
        _require_no_errors(response.document, path)
    if isinstance(value, list):
        return Page(response, value, is_first, nesting=find_nesting(response.document, path))
    if is_object:
        if checks_errors:
            _require_no_numbered_fields(value, path)
        return Page(response, [value], is_first, is_object=True)
    if value is None:
        return Page(response, [], is_first)
    if value is MISSING and _is_empty_page(
        response.document, is_first=is_first, checks_lists=checks_errors
    ):
        return Page(response, [], is_first, has_list=False)
    place = _place(path)
    if value is not MISSING:
        raise NoRecords(f"the response has {describe_type(value)} {place}, not a list of records")
    raise NoRecords(
        f"the response has no records {place}; turn off `hints` if the API leaves them out when there are none",
        evidence=(f"it has {describe(response.document)}",),
    )


def _place(path: str) -> str:
    return f"at {path!r}" if path else "at the top level"


def _require_no_numbered_fields(value: Mapping[str, Any], path: str) -> None:
    """Raise NoRecords for a list that is written as an object, as PHP does if items were removed."""
    if value and all(name.isdecimal() for name in value):
        raise NoRecords(
            f"the response has an object with numbered fields {_place(path)}, not a list of records; use the path"
            f" `{path}.*`, or turn off `hints` if it is a record".replace("`.*`", "`*`")
        )


def _require_no_errors(document: Mapping[str, Any], path: str) -> None:
    """Raise ErrorsReported for an error beside the records: GraphQL leaves out what it could not read."""
    others = {name: value for name, value in document.items() if not leads_through(path, name)}
    error = reported_error(others)
    if error:
        raise ErrorsReported(
            "the API reports an error beside its data; turn off `hints` if it means something else",
            evidence=(error,),
        )
    part = find_incomplete(document, find_container(document, path))
    if part:
        raise ErrorsReported(
            f"the API says that its response is not complete: {part}; turn off `hints` if it means something else"
        )


def _is_empty_page(document: Any, *, is_first: bool, checks_lists: bool) -> bool:
    """Whether the API may have left the list out because it is empty: the object has no error, and no other list.

    A later response is compared with those before it (`forms`), so other lists are no sign of a wrong path then.
    """
    if not isinstance(document, Mapping) or reported_error(document):
        return False
    if _is_error(document.get("message")) and is_first:
        return False
    if not is_first or not checks_lists:
        return True
    lists = (value for _, value in walk_objects(document) if isinstance(value, list))
    return all(all(map(relation_of, items)) for items in lists)


def reported_error(document: Any) -> str:
    """Return the error that the document reports, or an empty text."""
    if not isinstance(document, Mapping):
        return ""
    for name in ERROR_FIELDS:
        if _is_error(document.get(name)):
            return f"{name}: {_first_text(document[name])}"[:300]
    for name in SUCCESS_FIELDS:
        if str(document.get(name)).lower() == "false":
            return f"{name} is false"
    return ""


def _is_error(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_error(inner) for inner in value.values())
    if isinstance(value, list):
        return any(_is_error(inner) for inner in value)
    return not is_end(value) and str(value).strip().lower() not in SUCCESS_TEXTS


def _first_text(value: Any) -> str:
    """Return the message of an error, or the beginning of its JSON."""
    if isinstance(value, list) and value:
        return _first_text(value[0])
    if isinstance(value, Mapping):
        return str(value.get("message") or dict(value))
    return str(value)
