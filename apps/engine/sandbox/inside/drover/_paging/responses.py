"""A page of an API as it arrived, and the records in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from drover._failures import SourceFailure
from drover._paging.paths import MISSING, describe, describe_type, find_records, put, walk_objects
from drover._paging.values import as_yes_or_no

Json = dict[str, Any]
# Fields of a response that reports an error, and fields that are false then, although its status is 200.
ERROR_FIELDS = ("error", "errors", "fault", "exception", "error_message", "errorMessage", "message")
SUCCESS_FIELDS = ("ok", "success")


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
    is_object: bool = (
        False  # whether the document, or the value at the path, is itself the only record
    )

    @property
    def count(self) -> int:
        return len(self.records)

    @property
    def document(self) -> Any:
        return self.response.document


class NoRecords(SourceFailure):
    """The response has no list of records where one is expected."""

    retryable = False


class ErrorsReported(SourceFailure):
    """The response has errors beside its data, as GraphQL reports them."""


def read_page(
    response: Response, path: str, *, is_first: bool, may_be_object: bool, key_field: str = ""
) -> Page:
    """Return the page with the records at the path. Raises NoRecords if there are none and the response is no page."""
    if response.has_no_content:
        return Page(response, [], is_first)
    _require_no_errors(response.document)
    value = find_records(response.document, path, key_field)
    if isinstance(value, list):
        return Page(response, value, is_first)
    if isinstance(value, Mapping) and may_be_object:
        return Page(response, [value], is_first, is_object=True)
    if value is None or (value is MISSING and _is_empty_page(response.document, is_first)):
        return Page(response, [], is_first)
    place = f"at {path!r}" if path else "at the top level"
    if value is not MISSING:
        raise NoRecords(f"the response has {describe_type(value)} {place}, not a list of records")
    raise NoRecords(
        f"the response has no records {place}", evidence=(f"it has {describe(response.document)}",)
    )


def _require_no_errors(document: Any) -> None:
    """Raise ErrorsReported for partial data: GraphQL leaves out what it could not read, with status 200."""
    if isinstance(document, Mapping) and "data" in document and document.get("errors"):
        errors = document["errors"]
        first = errors[0] if isinstance(errors, list) else errors
        message = first.get("message") if isinstance(first, Mapping) else first
        raise ErrorsReported(
            "the API reports errors beside its data", evidence=(str(message)[:300],)
        )


def _is_empty_page(document: Any, is_first: bool) -> bool:
    """Whether the API left the list out because it is empty: the object has no error, and no other list.

    After the first page other lists are no sign of a wrong path.
    """
    if not isinstance(document, Mapping) or reports_error(document):
        return False
    lists = (value for _, value in walk_objects(document) if isinstance(value, list))
    return not is_first or not any(lists)


def reports_error(document: Mapping[str, Any]) -> bool:
    has_error = any(document.get(name) for name in ERROR_FIELDS)
    return has_error or any(
        name in document and as_yes_or_no(document[name]) is False for name in SUCCESS_FIELDS
    )
