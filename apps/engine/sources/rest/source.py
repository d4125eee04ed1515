"""Read the records of a JSON API page by page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bizon.source.models import SourceIncrementalState
from loguru import logger
from requests.auth import AuthBase, HTTPBasicAuth

from apps.engine.contract import CheckStep, FieldInfo, SizeEstimate, StreamInfo
from apps.engine.failures import (
    EXPECTED_ERRORS,
    AuthenticationError,
    ConfigurationError,
    SourceError,
)
from apps.engine.frames import json_values
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    rows_page,
    run_checks,
)
from apps.engine.sources.http import host_checks
from apps.engine.sources.http.responses import (
    CompleteResponse,
    PermanentSourceError,
    RetryingClient,
    RetryPolicy,
)
from apps.engine.sources.http.session import SourceSession
from apps.engine.sources.rest.config import ApiKeyAuth, BasicAuth, BearerAuth, Config, Stream
from apps.engine.sources.rest.cursors import CursorField, Watermark, value_at
from apps.engine.sources.rest.paging import (
    PageRequest,
    PageResponse,
    next_token,
    page_request,
    remove_param,
)
from apps.engine.sources.rest.totals import reported_total


@dataclass(frozen=True)
class Page:
    """The records of a page, the token of the next page, and the total of all pages if the API reports it."""

    records: list[Any]
    next_token: dict[str, Any]
    total: int | None = None

    @cached_property
    def digest(self) -> str:
        text = json.dumps(self.records, default=str).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=12).hexdigest()


class RestSource(ConnectorSource[Config]):
    Config: ClassVar[type[Config]] = Config
    incremental: ClassVar[bool] = True

    def check(self) -> Iterator[CheckStep]:
        address = urlsplit(self.settings.base_url)
        host = address.hostname or ""
        port = address.port or (443 if address.scheme == "https" else 80)
        allow_private, timeout = self.allow_private_networks, min(self.settings.timeout, 10.0)
        return run_checks(
            [
                (
                    "resolve",
                    lambda: host_checks.resolve_host(host, port, allow_private=allow_private),
                ),
                (
                    "connect",
                    lambda: host_checks.open_connection(
                        host, port, allow_private=allow_private, timeout=timeout
                    ),
                ),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        return [self._stream_info(stream) for stream in self.settings.streams]

    def estimate_size(self) -> SizeEstimate:
        """Request the first page. It is the only page, or it may contain the total."""
        page = self._request_page(self.stream, {}, Watermark())
        count = len(page.records)
        if not page.next_token:
            return SizeEstimate(count, 1, "the first page is the only page")
        if page.total is None or not count:
            return SizeEstimate()
        return SizeEstimate(page.total, ceil(page.total / count), "the total that the API reports")

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._read_page(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._read_page(pagination or {}, source_state.state)

    def get_session(self) -> SourceSession:
        session = SourceSession(
            allow_private=self.allow_private_networks,
            timeout=(min(10.0, self.settings.timeout), self.settings.timeout),
        )
        session.headers.update({"Accept": "application/json", "User-Agent": "drover"})
        session.headers.update(self.settings.headers)
        return session

    def get_authenticator(self) -> AuthBase | None:
        auth = self.settings.auth
        if isinstance(auth, BasicAuth):
            return HTTPBasicAuth(auth.username.encode(), auth.password.encode())
        if isinstance(auth, BearerAuth):
            return HeaderAuth("Authorization", f"Bearer {auth.token}")
        if isinstance(auth, ApiKeyAuth) and auth.location == "header":
            return HeaderAuth(auth.name, auth.key)
        return None

    @cached_property
    def stream(self) -> Stream:
        """Return the stream that this source reads. Raises ConfigurationError."""
        for stream in self.settings.streams:
            if stream.name == self.spec.stream:
                return stream
        stream_names = ", ".join(stream.name for stream in self.settings.streams)
        raise ConfigurationError(
            f"there is no stream {self.spec.stream!r}; the streams are {stream_names}"
        )

    @cached_property
    def client(self) -> RetryingClient:
        return RetryingClient(
            self.session,
            RetryPolicy(
                timeout=self.settings.timeout,
                retries=self.settings.retries,
                longest_wait=self.settings.longest_wait,
                max_bytes=self.settings.max_response_mb << 20,
            ),
        )

    def _read_page(self, token: Mapping[str, Any], state: Mapping[str, Any]) -> SourcePage:
        cursor = self._cursor_field()
        watermark = self._watermark(state)
        page = self._request_page(self.stream, token, watermark)
        page_number = int(token.get("number", 0)) + 1
        if page.next_token and page_number >= self.settings.max_pages:
            raise PermanentSourceError(
                f"the stream has more than {self.settings.max_pages:,} pages (`max_pages`)"
            )
        if len(page.records) > 1 and page.digest == token.get("digest"):
            raise PermanentSourceError(
                "the API returns the same page again, so the pagination settings are wrong for this API",
                evidence=(f"page {page_number} equals the previous page",),
            )
        progress = {"number": page_number, "digest": page.digest}
        if cursor is None:
            return rows_page(page.records, _add_progress(page.next_token, progress))
        records = cursor.select_new_records(page.records, watermark)
        previous_watermark = Watermark.from_state(token["mark"]) if "mark" in token else watermark
        next_watermark = cursor.advance(previous_watermark, records).to_json()
        return rows_page(
            records,
            _add_progress(page.next_token, {**progress, "mark": next_watermark}),
            None if page.next_token else {"cursor_field": cursor.path, **next_watermark},
        )

    def _request_page(self, stream: Stream, token: Mapping[str, Any], watermark: Watermark) -> Page:
        style = stream.pagination or self.settings.pagination
        url, params = self._url_and_params(stream, page_request(style, token), watermark)

        def parse_page(response: CompleteResponse) -> Page:
            document = parse_json(response)
            records = records_at(document, stream.records_path, response)
            page_response = PageResponse(document, len(records), url, response.links)
            next_page = self._remove_api_key(next_token(style, token, page_response))
            return Page(
                records, next_page, reported_total(document, response.headers, len(records))
            )

        return self.client.request(parse_page, "GET", url, params=params)

    def _url_and_params(
        self, stream: Stream, request: PageRequest, watermark: Watermark
    ) -> tuple[str, dict[str, Any]]:
        key_params = self._api_key_params()
        if request.url is not None:
            return request.url, key_params
        params = {**self.settings.params, **stream.params, **request.params}
        if stream.cursor_param and watermark.value is not None:
            params[stream.cursor_param] = watermark.value
        texts = {name: _param_value(value) for name, value in (params | key_params).items()}
        return join_url(self.settings.base_url, stream.path), texts

    def _remove_api_key(self, token: dict[str, Any]) -> dict[str, Any]:
        """Return the token without the API key, because tokens are stored."""
        auth = self.settings.auth
        if "url" in token and isinstance(auth, ApiKeyAuth) and auth.location == "query":
            return {"url": remove_param(token["url"], auth.name)}
        return token

    def _api_key_params(self) -> dict[str, Any]:
        auth = self.settings.auth
        if isinstance(auth, ApiKeyAuth) and auth.location == "query":
            return {auth.name: auth.key}
        return {}

    def _cursor_field(self) -> CursorField | None:
        path = self.spec.cursor_field or self.stream.cursor_field
        if self.spec.sync_mode != "incremental" or path is None:
            return None
        return CursorField(path, tuple(self.spec.primary_key or self.stream.primary_key))

    def _watermark(self, state: Mapping[str, Any]) -> Watermark:
        cursor = self._cursor_field()
        if cursor is None or not state:
            return Watermark()
        if state.get("cursor_field") != cursor.path:
            raise ConfigurationError(
                f"the cursor field changed from {state.get('cursor_field')!r} to {cursor.path!r};"
                " reset the stream to read it by the new cursor field"
            )
        return Watermark.from_state(state)

    def _stream_info(self, stream: Stream) -> StreamInfo:
        fields: tuple[FieldInfo, ...] = ()
        try:
            schema = StreamSchema()
            schema.decode(self._request_page(stream, {}, Watermark()).records[:100])
            fields = tuple(
                FieldInfo(name, column.field_type) for name, column in schema.columns.items()
            )
        except AuthenticationError:
            raise
        except EXPECTED_ERRORS as error:
            logger.warning("The fields of {} are not known: {}", stream.name, error.message)
        return StreamInfo(
            stream.name,
            fields,
            primary_key=tuple(stream.primary_key),
            cursor_fields=(stream.cursor_field,) if stream.cursor_field else (),
            sync_modes=("full_refresh", "incremental")
            if stream.cursor_field
            else ("full_refresh",),
        )

    def _check_authenticate(self) -> str:
        try:
            self._first_page()
        except AuthenticationError:
            raise
        except EXPECTED_ERRORS as error:
            logger.debug("The credentials are not the cause of this failure: {}", error.message)
        auth_type = self.settings.auth.type
        if auth_type == "none":
            return "no credentials are sent"
        return f"the API accepts the {auth_type} login"

    def _check_read(self) -> str:
        stream, page = self._first_page()
        return f"{len(page.records):,} records in the first page of {stream.name}"

    def _first_page(self) -> tuple[Stream, Page]:
        streams = self.settings.streams
        stream = next(
            (candidate for candidate in streams if candidate.name == self.spec.stream), streams[0]
        )
        return stream, self._request_page(stream, {}, Watermark())


class HeaderAuth(AuthBase):
    """Adds a credential as a header."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: Any) -> Any:
        request.headers[self._name] = self._value.encode("utf-8")
        return request


def parse_json(response: CompleteResponse) -> Any:
    """Parse the response as JSON, with integers of any size.

    Raises SourceError with the beginning of invalid content.
    """
    if not response.body.strip():
        raise SourceError("the source returned an empty body", evidence=response.evidence)
    json_values.require_few_values(response.body)
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100]
        raise SourceError(
            "the source did not return complete JSON", evidence=(*response.evidence, reason)
        ) from error


def records_at(document: Any, path: str, response: CompleteResponse) -> list[Any]:
    """Return the records at the path: a list, a single object as one record, or no records for null.

    Raises PermanentSourceError if the path does not exist or has another value.
    """
    value = value_at(document, path)
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        return [value]
    parent, _, name = path.rpartition(".")
    if (
        value is None
        and isinstance(fields := value_at(document, parent), Mapping)
        and name in fields
    ):
        return []
    place = f"at {path!r}" if path else "at the top level"
    raise PermanentSourceError(f"the response has no records {place}", evidence=response.evidence)


def join_url(base_url: str, path: str) -> str:
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def _add_progress(token: dict[str, Any], progress: dict[str, Any]) -> dict[str, Any]:
    return {**token, **progress} if token else {}


def _param_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
