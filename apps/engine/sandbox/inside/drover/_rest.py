"""Write a REST source in ten lines: declare its base URL, authentication, pagination and streams."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

import requests

from drover._failures import AuthenticationError, ConfigurationError
from drover._paging.responses import Request, Response
from drover._paging.styles import Cursor, LinkHeader, NextUrl, Offset, PageNumber, Paging
from drover._paging.walk import Walk
from drover._source import Json, Page, Source, Stream

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
    "RestSource",
]

# Statuses that say nothing about the position that a request asks for.
NO_ANSWERS = frozenset({401, 403, 407, 429})


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
    body = response.json()
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

    def get(self, pagination: Json | None = None) -> Page:
        return self._read_page(pagination, since=None)

    def get_records_after(self, state: Json, pagination: Json | None = None) -> Page:
        stream = self.stream
        if not stream.since or not stream.cursor_field:
            return super().get_records_after(state, pagination)
        cursor = (state.get("state") or {}).get("cursor") or state.get("last_run")
        return self._read_page(pagination, since=cursor)

    def ask(self, path: str, **options: Any) -> requests.Response:
        """Send a GET request to a path of the base URL, or to a complete URL. Raises for a status of 400 or above."""
        url = fill_placeholders(self.base_url, self).rstrip("/") + "/" + path.lstrip("/")
        headers = {"Accept": "application/json", **self.headers, **options.pop("headers", {})}
        return self.session.get(
            path if "://" in path else url, headers=headers, auth=self._authorize, **options
        )

    @cached_property
    def _base_host(self) -> str:
        return fill_placeholders(self.base_url, self).partition("://")[2].partition("/")[0].lower()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add credentials only for requests to the base URL's host."""
        host = (request.url or "").partition("://")[2].partition("/")[0].partition("?")[0].lower()
        if self.auth is not None and host == self._base_host:
            self.auth.apply(request, self)
        return request

    def _read_page(self, pagination: Json | None, since: Any) -> Page:
        stream = self.stream
        # `at` is the token of the page for its pagination method. `most` is the greatest cursor value so far.
        page_token = dict(pagination or {})
        extra_params = {stream.since: since} if since is not None else {}
        if stream.parent:
            return self._child_page(stream, page_token, extra_params)
        step = self._walk(stream, {}, extra_params).read(page_token.get("at") or {})
        state = self._incremental_state(stream, step.records, page_token.get("most", since))
        next_page = {"at": step.next_token} if step.next_token else None
        if next_page and state:
            next_page["most"] = state["cursor"]
        return Page(step.records, next_page, state)

    def _walk(self, stream: Stream, parent_record: Json, extra_params: Json) -> Walk:
        def ask(request: Request, *, is_question: bool = False) -> Response:
            return self._ask_for_page(
                stream, request, parent_record, extra_params, is_question=is_question
            )

        return Walk(
            style=stream.paging or self.paging,
            ask=ask,
            records_path=stream.records,
            primary_key=stream.primary_key,
            is_partial=bool(extra_params),
            warn=logging.getLogger("drover").warning,
        )

    def _ask_for_page(
        self,
        stream: Stream,
        request: Request,
        parent_record: Json,
        extra_params: Json,
        *,
        is_question: bool,
    ) -> Response:
        actions = dict.fromkeys(stream.end_statuses, "end")
        actions |= dict.fromkeys(stream.ignored_statuses, "ignore")
        try:
            if request.url is not None:
                response = self.ask(request.url)
            else:
                path = fill_placeholders(stream.path or stream.name, self, parent_record)
                params = {**stream.params, **extra_params, **request.params}
                response = self.ask(path, params=params)
        except requests.HTTPError as error:
            if error.response is None or not (
                error.response.status_code in actions
                or (is_question and error.response.status_code not in NO_ANSWERS)
            ):
                raise
            response = error.response
        has_document = response.ok and response.status_code != HTTPStatus.NO_CONTENT
        return Response(
            status=response.status_code,
            document=parse_json(response) if has_document else None,
            headers=response.headers,
            url=response.url,
            next_link=response.links.get("next", {}).get("url"),
            action=actions.get(response.status_code, ""),
        )

    def _child_page(self, stream: Stream, token: Json, extra_params: Json) -> Page:
        """Return the child records of one page of parent records, with the token of the next page of parents."""
        parent = next((s for s in self.declared_streams() if s.name == stream.parent), None)
        if parent is None or parent.parent:
            raise ConfigurationError(
                f"{stream.name} needs a parent stream that has no parent itself."
            )
        step = self._walk(parent, {}, {}).read(token.get("at") or {})
        return Page(
            self._child_rows(stream, step.records, extra_params),
            {"at": step.next_token} if step.next_token else None,
        )

    def _child_rows(self, stream: Stream, parents: list[Any], extra_params: Json) -> Iterator[Any]:
        for parent in parents:
            walk = self._walk(stream, parent, extra_params)
            step = walk.read({})
            yield from step.records
            while step.next_token:
                step = walk.read(step.next_token)
                yield from step.records

    def _incremental_state(self, stream: Stream, rows: list[Any], previous: Any) -> Json | None:
        if not stream.cursor_field:
            return None
        values = [row[stream.cursor_field] for row in rows if row.get(stream.cursor_field)]
        greatest = max([*values, *([previous] if previous is not None else [])], default=None)
        return {"cursor": greatest} if greatest is not None else None


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
    quoted_names = {name: quote(str(value), safe="") for name, value in (names or {}).items()}
    values = {**vars(source.config), **quoted_names}
    try:
        return text.format_map(values)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigurationError(f"{text} cannot be filled in: {error}") from error


def parse_json(response: requests.Response) -> Any:
    """Return the body of the response."""
    return response.json()
