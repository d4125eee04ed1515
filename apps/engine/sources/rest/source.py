"""Read the records of a JSON API page by page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bizon.source.models import SourceIncrementalState
from loguru import logger
from requests.auth import AuthBase, HTTPBasicAuth

from apps.engine.contract import CheckStep, FieldInfo, StreamInfo
from apps.engine.failures import EXPECTED, AuthenticationError, ConfigurationError, SourceError
from apps.engine.frames import json_values
from apps.engine.frames.decoding import StreamSchema
from apps.engine.sources.connector import (
    ConnectorSource,
    Pagination,
    SourcePage,
    checked,
    rows_page,
)
from apps.engine.sources.http import reach
from apps.engine.sources.http.answers import Answer, Asker, Patience, UnhelpfulSourceError
from apps.engine.sources.http.session import SourceSession
from apps.engine.sources.rest.config import ApiKeyAuth, BasicAuth, BearerAuth, Config, Stream
from apps.engine.sources.rest.cursors import CursorField, Watermark, at
from apps.engine.sources.rest.paging import (
    PageRequest,
    PageResponse,
    asked,
    following,
    without_param,
)


@dataclass(frozen=True)
class Read:
    """One page: its records, and the token of the next page."""

    records: list[Any]
    following: dict[str, Any]

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
        private, timeout = self.allow_private_networks, min(self.settings.timeout, 10.0)
        return checked(
            [
                ("resolve", lambda: reach.resolve(host, port, allow_private=private)),
                (
                    "connect",
                    lambda: reach.connect(host, port, allow_private=private, timeout=timeout),
                ),
                ("authenticate", self._check_authenticate),
                ("read", self._check_read),
            ]
        )

    def discover(self) -> list[StreamInfo]:
        return [self._described(stream) for stream in self.settings.streams]

    def get(self, pagination: Pagination = None) -> SourcePage:
        return self._page(pagination or {}, {})

    def get_records_after(
        self, source_state: SourceIncrementalState, pagination: Pagination = None
    ) -> SourcePage:
        return self._page(pagination or {}, source_state.state)

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
        """The stream that this source is bound to. Raises ConfigurationError."""
        for stream in self.settings.streams:
            if stream.name == self.spec.stream:
                return stream
        known = ", ".join(stream.name for stream in self.settings.streams)
        raise ConfigurationError(f"there is no stream {self.spec.stream!r}; there is {known}")

    @cached_property
    def asker(self) -> Asker:
        return Asker(
            self.session,
            Patience(
                timeout=self.settings.timeout,
                retries=self.settings.retries,
                longest_wait=self.settings.longest_wait,
                max_bytes=self.settings.max_response_mb << 20,
            ),
        )

    def _page(self, token: Mapping[str, Any], state: Mapping[str, Any]) -> SourcePage:
        cursor = self._cursor_field()
        since = self._since(state)
        read = self._read(self.stream, token, since)
        number = int(token.get("number", 0)) + 1
        if read.following and number >= self.settings.max_pages:
            raise UnhelpfulSourceError(
                f"the stream has more than {self.settings.max_pages:,} pages (`max_pages`)"
            )
        if len(read.records) > 1 and read.digest == token.get("digest"):
            raise UnhelpfulSourceError(
                "the API returns the same page again, so the pagination settings do not fit it",
                evidence=(f"page {number} equals the one before",),
            )
        going_on = {"number": number, "digest": read.digest}
        if cursor is None:
            return rows_page(read.records, _token(read.following, going_on))
        new = cursor.new(read.records, since)
        mark = cursor.advance(Watermark.of(token["mark"]) if "mark" in token else since, new)
        state_after = {"cursor_field": cursor.path, **mark.to_json()}
        return rows_page(
            new,
            _token(read.following, {**going_on, "mark": mark.to_json()}),
            None if read.following else state_after,
        )

    def _read(self, stream: Stream, token: Mapping[str, Any], since: Watermark) -> Read:
        style = stream.pagination or self.settings.pagination
        url, params = self._request(stream, asked(style, token), since)

        def read(answer: Answer) -> Read:
            document = parsed(answer)
            records = records_at(document, stream.records_path, answer)
            answered = PageResponse(document, len(records), url, answer.links)
            return Read(records, self._storable(following(style, token, answered)))

        return self.asker.ask_for(read, "GET", url, params=params)

    def _request(
        self, stream: Stream, what: PageRequest, since: Watermark
    ) -> tuple[str, dict[str, Any]]:
        key = self._key_in_query()
        if what.url is not None:
            return what.url, key
        params = {**self.settings.params, **stream.params, **what.params}
        if stream.cursor_param and since.value is not None:
            params[stream.cursor_param] = since.value
        written = {name: _written(value) for name, value in (params | key).items()}
        return joined(self.settings.base_url, stream.path), written

    def _storable(self, token: dict[str, Any]) -> dict[str, Any]:
        auth = self.settings.auth
        if "url" in token and isinstance(auth, ApiKeyAuth) and auth.location == "query":
            return {"url": without_param(token["url"], auth.name)}
        return token

    def _key_in_query(self) -> dict[str, Any]:
        auth = self.settings.auth
        if isinstance(auth, ApiKeyAuth) and auth.location == "query":
            return {auth.name: auth.key}
        return {}

    def _cursor_field(self) -> CursorField | None:
        path = self.spec.cursor_field or self.stream.cursor_field
        if self.spec.sync_mode != "incremental" or path is None:
            return None
        return CursorField(path, tuple(self.spec.primary_key or self.stream.primary_key))

    def _since(self, state: Mapping[str, Any]) -> Watermark:
        cursor = self._cursor_field()
        if cursor is None or not state:
            return Watermark()
        if state.get("cursor_field") != cursor.path:
            raise ConfigurationError(
                f"the cursor field changed from {state.get('cursor_field')!r} to {cursor.path!r};"
                " reset the stream to read it by the new one"
            )
        return Watermark.of(state)

    def _described(self, stream: Stream) -> StreamInfo:
        fields: tuple[FieldInfo, ...] = ()
        try:
            schema = StreamSchema()
            schema.decode(self._read(stream, {}, Watermark()).records[:100])
            fields = tuple(
                FieldInfo(name, column.field_type) for name, column in schema.columns.items()
            )
        except AuthenticationError:
            raise
        except EXPECTED as error:
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
        except EXPECTED as error:
            logger.debug("The failure is not caused by credentials: {}", error.message)
        kind = self.settings.auth.type
        return "no credentials are sent" if kind == "none" else f"the API accepts the {kind} login"

    def _check_read(self) -> str:
        stream, read = self._first_page()
        return f"{len(read.records):,} records in the first page of {stream.name}"

    def _first_page(self) -> tuple[Stream, Read]:
        streams = self.settings.streams
        stream = next((each for each in streams if each.name == self.spec.stream), streams[0])
        return stream, self._read(stream, {}, Watermark())


class HeaderAuth(AuthBase):
    """Adds a credential as a header."""

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    def __call__(self, request: Any) -> Any:
        request.headers[self._name] = self._value.encode("utf-8")
        return request


def parsed(answer: Answer) -> Any:
    """Parse the response as JSON, with integers of any size.

    Raises SourceError with the beginning of invalid content.
    """
    if not answer.body.strip():
        raise SourceError("the source returned an empty body", evidence=answer.evidence)
    json_values.require_few_values(answer.body)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        reason = str(error)[:100]
        raise SourceError(
            "the source did not return complete JSON", evidence=(*answer.evidence, reason)
        ) from error


def records_at(document: Any, path: str, answer: Answer) -> list[Any]:
    """Return the records at the path; a single object is one record. Raises if there are none."""
    found = at(document, path)
    if isinstance(found, list):
        return found
    if isinstance(found, Mapping):
        return [found]
    parent, _, name = path.rpartition(".")
    if found is None and isinstance(holder := at(document, parent), Mapping) and name in holder:
        return []
    where = f"at {path!r}" if path else "at the top level"
    raise UnhelpfulSourceError(f"the response has no records {where}", evidence=answer.evidence)


def joined(base_url: str, path: str) -> str:
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def _token(following: dict[str, Any], going_on: dict[str, Any]) -> dict[str, Any]:
    return {**following, **going_on} if following else {}


def _written(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
