"""Write a REST source in ten lines: declare its base URL, authentication, pagination and streams."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from string import Formatter
from typing import Any, ClassVar

import requests

from drover._failures import AuthenticationError, ConfigurationError
from drover._numbers import read_response
from drover._paging.counted import Offset, PageNumber
from drover._paging.paths import url_segment
from drover._paging.responses import PROBE_STATUSES, Request, Response, find_next_link
from drover._paging.styles import Cursor, LinkHeader, NextUrl, Paging
from drover._paging.walk import Step, StreamFacts, Walk
from drover._source import Json, Page, Source, Stream
from drover._watermarks import CursorField, Watermark

__all__ = [
    "ApiKey",
    "Basic",
    "Bearer",
    "Cursor",
    "LinkHeader",
    "NextUrl",
    "OAuthClientCredentials",
    "OAuthRefresh",
    "Offset",
    "PageNumber",
    "Paging",
    "RestSource",
]

logger = logging.getLogger("drover")


class Auth:
    """Base class of the authentication methods. Credentials are given as names of settings, never as values."""

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Bearer(Auth):
    """`Authorization: Bearer <setting>`"""

    token: str = "token"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        request.headers["Authorization"] = f"Bearer {setting_value(source, self.token)}"


@dataclass(frozen=True)
class ApiKey(Auth):
    """A key in a header, or in the query if `param` is set."""

    key: str = "api_key"
    header: str = "X-API-Key"
    param: str = ""

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        if self.param:
            request.prepare_url(request.url, {self.param: setting_value(source, self.key)})
        else:
            request.headers[self.header] = str(setting_value(source, self.key))


@dataclass(frozen=True)
class Basic(Auth):
    """User name and password (RFC 7617)."""

    user: str = "user"
    password: str = "password"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        pair = f"{setting_value(source, self.user)}:{setting_value(source, self.password)}"
        request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True)
class OAuthClientCredentials(Auth):
    """An access token from client id and secret (RFC 6749, section 4.4), renewed a minute before it expires."""

    token_url: str
    client_id: str = "client_id"
    client_secret: str = "client_secret"
    scope: str = ""

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        _apply_access_token(request, source, self.token_url, self._token_request(source))

    def _token_request(self, source: Source) -> Json:
        return {
            "grant_type": "client_credentials",
            "client_id": setting_value(source, self.client_id),
            "client_secret": setting_value(source, self.client_secret),
            **({"scope": self.scope} if self.scope else {}),
        }


@dataclass(frozen=True)
class OAuthRefresh(Auth):
    """An access token from a refresh token (RFC 6749, section 6), renewed a minute before it expires."""

    token_url: str
    client_id: str = "client_id"
    client_secret: str = "client_secret"
    refresh_token: str = "refresh_token"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        _apply_access_token(request, source, self.token_url, self._token_request(source))

    def _token_request(self, source: Source) -> Json:
        return {
            "grant_type": "refresh_token",
            "refresh_token": setting_value(source, self.refresh_token),
            "client_id": setting_value(source, self.client_id),
            "client_secret": setting_value(source, self.client_secret),
        }


def _apply_access_token(
    request: requests.PreparedRequest, source: Source, token_url: str, token_request: Json
) -> None:
    """Send the access token, after fetching a new one if it expires within a minute."""
    access_token = source.__dict__.setdefault("_oauth", {"value": "", "renew_at": 0.0})
    if time.monotonic() > access_token["renew_at"]:
        access_token.update(_fetch_access_token(source, token_url, token_request))
    request.headers["Authorization"] = f"Bearer {access_token['value']}"


def _fetch_access_token(source: Source, token_url: str, token_request: Json) -> Json:
    response = source.session.post(fill_placeholders(token_url, source), data=token_request)
    body = read_response(response)
    if not isinstance(body, dict) or "access_token" not in body:
        raise AuthenticationError("The token endpoint returned no access_token.")
    lifetime = float(body.get("expires_in") or 300)
    return {"value": body["access_token"], "renew_at": time.monotonic() + lifetime - 60}


class RestSource(Source):
    """Streams of a JSON API. Names in braces in `base_url` and in paths are replaced by settings."""

    base_url: ClassVar[str] = ""
    auth: ClassVar[Auth | None] = None
    paging: ClassVar[Paging] = Paging()
    headers: ClassVar[Mapping[str, str]] = {}
    _has_warned = False  # of values that cannot be cursors

    def get(self, pagination: Json | None = None) -> Page:
        return self._read_page(pagination, since=Watermark())

    def get_records_after(self, state: Json, pagination: Json | None = None) -> Page:
        stream = self.stream
        if not stream.since or not stream.cursor_field:
            return super().get_records_after(state, pagination)
        stored = state.get("state") or {}
        return self._read_page(pagination, since=Watermark.from_state(_stored_watermark(stored)))

    def ask(self, path: str, **options: Any) -> requests.Response:
        """Send a request to a path of the base URL, or to a complete URL. Raises for a status of 400 or above.

        `options` are those of `requests`, and `method` if it is not GET.
        """
        url = fill_placeholders(self.base_url, self).rstrip("/") + "/" + path.lstrip("/")
        headers = {"Accept": "application/json", **self.headers, **options.pop("headers", {})}
        url = path if "://" in path else url
        method = options.pop("method", "GET")
        try:
            return self.session.request(
                method, url, headers=headers, auth=self._authorize, **options
            )
        except requests.HTTPError as error:
            if not self._drops_access_token(error):
                raise
        return self.session.request(method, url, headers=headers, auth=self._authorize, **options)

    def _drops_access_token(self, error: requests.HTTPError) -> bool:
        """Whether the server refused an access token, which is fetched anew then: it may have been revoked early."""
        is_refused = error.response is not None and error.response.status_code == 401
        is_for_token = is_refused and "Authorization" in error.response.request.headers
        return is_for_token and self.__dict__.pop("_oauth", None) is not None

    @cached_property
    def _facts(self) -> dict[str, StreamFacts]:
        return {}

    @cached_property
    def _base_host(self) -> str:
        return fill_placeholders(self.base_url, self).partition("://")[2].partition("/")[0].lower()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add credentials only for requests to the base URL's host."""
        host = (request.url or "").partition("://")[2].partition("/")[0].partition("?")[0].lower()
        if self.auth is not None and host == self._base_host:
            self.auth.apply(request, self)
        return request

    def _read_page(self, pagination: Json | None, since: Watermark) -> Page:
        stream = self.stream
        # `at` is the token of the page for its pagination method, `mark` the watermark after the pages before.
        token = dict(pagination or {})
        mark = Watermark.from_state(token["mark"]) if "mark" in token else since
        extra_params = {stream.since: since.value} if since.value is not None else {}
        if stream.parent:
            return self._child_page(stream, token, extra_params, since, mark)
        step = self._walk(stream, {}, extra_params).read(token.get("at") or {})
        rows, mark = self._new_rows(stream, step.records, since, mark)
        return Page(rows, self._next_page(step, stream, mark), self._state(stream, mark))

    def _new_rows(
        self, stream: Stream, rows: list[Any], since: Watermark, mark: Watermark
    ) -> tuple[list[Any], Watermark]:
        """Return the rows that were not read before, and the watermark after them."""
        if not self._has_cursor(stream):
            return rows, mark
        cursor = CursorField(stream.cursor_field or "", stream.primary_key)
        readings = cursor.read(rows)
        since, mark = cursor.with_kind(since, readings), cursor.with_kind(mark, readings)
        warning = cursor.warning(mark, readings)
        if warning and not self._has_warned:
            self._has_warned = True
            logger.warning(warning)
        new, mark = cursor.take_new(readings, since, mark, is_last=False)
        return [reading.record for reading in new], mark

    def _walk(self, stream: Stream, parent_record: Json, extra_params: Json) -> Walk:
        def ask(request: Request, *, is_probe: bool = False) -> Response:
            actions = dict.fromkeys(stream.end_statuses, "end")
            actions |= dict.fromkeys(stream.ignored_statuses, "ignore")
            accepted = actions.keys() | PROBE_STATUSES if is_probe else actions.keys()
            response = self._ask_for_page(stream, request, parent_record, extra_params, accepted)
            has_document = (
                response.status_code < 300 and response.status_code != HTTPStatus.NO_CONTENT
            )
            return Response(
                status=response.status_code,
                document=read_response(response) if has_document else None,
                headers=response.headers,
                url=response.url,
                next_link=find_next_link(response.links),
                action=actions.get(response.status_code, ""),
            )

        return Walk(
            style=stream.paging or self.paging,
            ask=ask,
            records_path=stream.records,
            primary_key=stream.primary_key,
            is_partial=bool(extra_params),
            is_child=bool(parent_record),
            warn=logger.warning,
            facts=self._facts.setdefault(stream.name, StreamFacts()),
        )

    def _ask_for_page(
        self,
        stream: Stream,
        request: Request,
        parent_record: Json,
        extra_params: Json,
        accepted: Set[int],
    ) -> requests.Response:
        """Return the response. Raises for a status of 400 or above that is not accepted."""
        options: Json = {}
        if stream.method != "GET":
            options = {"method": stream.method, "json": request.body_with(stream.json)}
        try:
            if request.url is not None:
                response = self.ask(request.url, **options)
            else:
                path = fill_placeholders(stream.path or stream.name, self, parent_record)
                params = {**stream.params, **extra_params, **request.params}
                response = self.ask(path, params=params, **options)
        except requests.HTTPError as error:
            if error.response is None or error.response.status_code not in accepted:
                raise
            return error.response
        if response.request.method != stream.method:
            raise ConfigurationError(
                f"The server redirects the {stream.method} request, which would lose its body; use the address to which it"
                f" leads: {response.url.partition('?')[0]}"
            )
        return response

    def _child_page(
        self, stream: Stream, token: Json, extra_params: Json, since: Watermark, mark: Watermark
    ) -> Page:
        """Return the child records of one page of parent records, with the token of the next page of parents.

        The watermark is known when all rows have been taken, so it is written into the token and the state then.
        """
        parent = next((s for s in self.declared_streams() if s.name == stream.parent), None)
        if parent is None or parent.parent:
            raise ConfigurationError(
                f"{stream.name} needs a parent stream that has no parent itself."
            )
        step = self._walk(parent, {}, {}).read(token.get("at") or {})
        next_page, state = self._next_page(step, stream, mark), self._state(stream, mark)

        def read_children() -> Iterator[Any]:
            after = mark
            for child_rows in self._child_pages(stream, step.records, extra_params):
                new_rows, after = self._new_rows(stream, child_rows, since, after)
                yield from new_rows
            if next_page is not None:
                next_page.update(self._next_page(step, stream, after) or {})
            if state is not None:
                state.update(self._state(stream, after) or {})

        return Page(read_children(), next_page, state)

    def _child_pages(
        self, stream: Stream, parents: list[Any], extra_params: Json
    ) -> Iterator[list[Any]]:
        for parent in parents:
            walk = self._walk(stream, parent, extra_params)
            step = walk.read({})
            yield step.records
            while step.next_token:
                step = walk.read(step.next_token)
                yield step.records

    def _has_cursor(self, stream: Stream) -> bool:
        return bool(stream.cursor_field) and self.bound.sync_mode == "incremental"

    def _next_page(self, step: Step, stream: Stream, mark: Watermark) -> Json | None:
        if not step.next_token:
            return None
        return {
            "at": step.next_token,
            **({"mark": mark.to_json()} if self._has_cursor(stream) else {}),
        }

    def _state(self, stream: Stream, mark: Watermark) -> Json | None:
        """Return the state after a page. It has the watermark as `cursor`, as states of older versions do."""
        if not self._has_cursor(stream):
            return None
        stored = replace(mark, repeated=()).to_json()
        return {"cursor": stored.pop("value"), **stored}


def _stored_watermark(state: Json) -> Json:
    return {
        **{name: state[name] for name in state if name != "cursor"},
        "value": state.get("cursor"),
    }


def setting_value(source: Source, name: str) -> Any:
    """Return the value of a setting. Raises ConfigurationError if the setting is empty."""
    value = getattr(source.config, name, None)
    if value in (None, ""):
        raise ConfigurationError(f"The setting {name!r} is required.")
    return value


def fill_placeholders(text: str, source: Source, names: Mapping[str, Any] | None = None) -> str:
    """Return `text` with each {name} replaced by its value in `names`, or else in the settings."""
    if "{" not in text:
        return text
    names = names or {}
    try:
        used = {field for _, field, _, _ in Formatter().parse(text) if field}
        segments = {name: _segment(name, names[name]) for name in used & set(names)}
        return text.format_map({**vars(source.config), **segments})
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigurationError(f"{text} cannot be filled in: {error}") from error


def _segment(name: str, value: Any) -> str:
    """Return the field of a parent's record for a path. Raises ConfigurationError."""
    if value is None or isinstance(value, list | dict):
        raise ConfigurationError(f"A record of the parent stream has no value for {{{name}}}.")
    return url_segment(str(value))
