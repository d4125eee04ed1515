"""Write a REST source in ten lines: base URL, authentication, pagination, streams."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote, urljoin

import requests

from drover._failures import AuthenticationError, ConfigurationError, ContractError
from drover._source import Json, Page, Source, Stream


class Auth:
    """Base of the authentication methods. Their parameters are names of settings, never values."""

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Bearer(Auth):
    """`Authorization: Bearer <setting>`"""

    token: str = "token"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        request.headers["Authorization"] = f"Bearer {setting(source, self.token)}"


@dataclass(frozen=True)
class ApiKey(Auth):
    """A key in a header, or in the query if `param` is given."""

    key: str = "api_key"
    header: str = "X-API-Key"
    param: str = ""

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        if self.param:
            request.prepare_url(request.url, {self.param: setting(source, self.key)})
        else:
            request.headers[self.header] = str(setting(source, self.key))


@dataclass(frozen=True)
class Basic(Auth):
    """User name and password (RFC 7617)."""

    user: str = "user"
    password: str = "password"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        pair = f"{setting(source, self.user)}:{setting(source, self.password)}"
        request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"


@dataclass(frozen=True)
class OAuthRefresh(Auth):
    """An access token from a refresh token (RFC 6749, section 6), renewed a minute before it expires."""

    token_url: str
    client_id: str = "client_id"
    client_secret: str = "client_secret"
    refresh_token: str = "refresh_token"

    def apply(self, request: requests.PreparedRequest, source: Source) -> None:
        held = source.__dict__.setdefault("_oauth", {"token": "", "until": 0.0})
        if time.monotonic() > held["until"]:
            held.update(self._fresh(source))
        request.headers["Authorization"] = f"Bearer {held['token']}"

    def _fresh(self, source: Source) -> Json:
        response = source.session.post(
            filled(self.token_url, source),
            data={
                "grant_type": "refresh_token",
                "refresh_token": setting(source, self.refresh_token),
                "client_id": setting(source, self.client_id),
                "client_secret": setting(source, self.client_secret),
            },
        )
        answer = response.json()
        if not isinstance(answer, dict) or "access_token" not in answer:
            raise AuthenticationError("The token endpoint returned no access_token.")
        lifetime = float(answer.get("expires_in") or 300)
        return {"token": answer["access_token"], "until": time.monotonic() + lifetime - 60}


class Paging:
    """Base of the pagination methods.

    A page token is query parameters or a URL, as JSON; None after the last page.
    """

    def first(self) -> Json:
        return {}

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        return None


@dataclass(frozen=True)
class Cursor(Paging):
    """The response has the next page's token at `field` (names joined by dots); it is sent back as `param`."""

    field: str
    param: str = "cursor"

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        token = at(answer, self.field)
        return {"params": {self.param: token}} if token else None


@dataclass(frozen=True)
class Offset(Paging):
    """`?limit=100&offset=200`, until a page has fewer records than the limit."""

    size: int = 100
    param: str = "offset"
    size_param: str = "limit"

    def first(self) -> Json:
        return {"params": {self.size_param: self.size, self.param: 0}}

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        if len(rows) < self.size:
            return None
        params = asked["params"]
        return {"params": {**params, self.param: params[self.param] + self.size}}


@dataclass(frozen=True)
class PageNumber(Paging):
    """`?page=2`, until a page is empty, or has fewer records than `size` if given."""

    size: int = 0
    param: str = "page"
    size_param: str = "per_page"
    start: int = 1

    def first(self) -> Json:
        sized = {self.size_param: self.size} if self.size else {}
        return {"params": {**sized, self.param: self.start}}

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        if not rows or len(rows) < self.size:
            return None
        params = asked["params"]
        return {"params": {**params, self.param: params[self.param] + 1}}


@dataclass(frozen=True)
class LinkHeader(Paging):
    """The `Link: <…>; rel="next"` header (RFC 8288)."""

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        url = response.links.get("next", {}).get("url")
        return {"url": urljoin(response.url, url)} if url else None


@dataclass(frozen=True)
class NextUrl(Paging):
    """The response has the next page's URL at `field` (names joined by dots)."""

    field: str = "next"

    def following(
        self, asked: Json, answer: Any, rows: list[Any], response: requests.Response
    ) -> Json | None:
        url = at(answer, self.field)
        return {"url": urljoin(response.url, url)} if url else None


class RestSource(Source):
    """Streams of a JSON API. Names in braces in `base_url` and in paths are replaced by settings."""

    base_url: ClassVar[str] = ""
    auth: ClassVar[Auth | None] = None
    paging: ClassVar[Paging] = Paging()
    headers: ClassVar[Mapping[str, str]] = {}

    def get(self, pagination: Json | None = None) -> Page:
        return self._page(pagination, since=None)

    def get_records_after(self, state: Json, pagination: Json | None = None) -> Page:
        stream = self.stream
        if not stream.since or not stream.cursor_field:
            return super().get_records_after(state, pagination)
        reached = (state.get("state") or {}).get("cursor") or state.get("last_run")
        return self._page(pagination, since=reached)

    def ask(self, path: str, **options: Any) -> requests.Response:
        """Send an authenticated GET request below the base URL. Raises for statuses of 400 and above."""
        url = filled(self.base_url, self).rstrip("/") + "/" + path.lstrip("/")
        headers = {"Accept": "application/json", **self.headers, **options.pop("headers", {})}
        return self.session.get(
            path if "://" in path else url, headers=headers, auth=self._authorize, **options
        )

    @cached_property
    def _origin(self) -> str:
        return filled(self.base_url, self).partition("://")[2].partition("/")[0].lower()

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add credentials only for requests to the base URL's host."""
        host = (request.url or "").partition("://")[2].partition("/")[0].partition("?")[0].lower()
        if self.auth is not None and host == self._origin:
            self.auth.apply(request, self)
        return request

    def _page(self, pagination: Json | None, since: Any) -> Page:
        stream = self.stream
        asked = dict(pagination or {})
        extra = {stream.since: since} if since is not None else {}
        if stream.parent:
            return self._children(stream, asked, extra)
        rows, following = self._rows(stream, asked.get("at"), {}, extra)
        state = self._state(stream, rows, asked.get("most", since))
        token = {"at": following} if following else None
        if token and state:
            token["most"] = state["cursor"]
        return Page(rows, token, state)

    def _rows(
        self, stream: Stream, at_page: Json | None, names: Json, extra: Json
    ) -> tuple[list[Any], Json | None]:
        paging: Paging = stream.paging or self.paging
        asked = at_page or paging.first()
        if "url" in asked:
            response = self.ask(asked["url"])
        else:
            params = {**stream.params, **extra, **asked.get("params", {})}
            response = self.ask(filled(stream.path or stream.name, self, names), params=params)
        answer = response.json()
        rows = at(answer, stream.records) if stream.records else answer
        if rows is None:
            rows = []
        if not isinstance(rows, list):
            where = f"at {stream.records!r} " if stream.records else ""
            raise ContractError(f"The response of {stream.name} {where}is not a list of records.")
        return rows, paging.following(asked, answer, rows, response)

    def _children(self, stream: Stream, asked: Json, extra: Json) -> Page:
        """Return the child records of one page of parents; the page token is that of the parents."""
        parent = next((s for s in self.declared_streams() if s.name == stream.parent), None)
        if parent is None or parent.parent:
            raise ConfigurationError(
                f"{stream.name} needs a parent stream that has no parent itself."
            )
        parents, following = self._rows(parent, asked.get("at"), {}, {})
        return Page(
            self._of_parents(stream, parents, extra), {"at": following} if following else None
        )

    def _of_parents(self, stream: Stream, parents: list[Any], extra: Json) -> Iterator[Any]:
        for parent in parents:
            at_page: Json | None = None
            while True:
                rows, at_page = self._rows(stream, at_page, parent, extra)
                yield from rows
                if at_page is None:
                    break

    def _state(self, stream: Stream, rows: list[Any], before: Any) -> Json | None:
        if not stream.cursor_field:
            return None
        values = [row[stream.cursor_field] for row in rows if row.get(stream.cursor_field)]
        most = max([*values, *([before] if before is not None else [])], default=None)
        return {"cursor": most} if most is not None else None


def setting(source: Source, name: str) -> Any:
    """Return the value of a setting. Raises ConfigurationError if it was left empty."""
    value = getattr(source.config, name, None)
    if value in (None, ""):
        raise ConfigurationError(f"The setting {name!r} is required.")
    return value


def filled(text: str, source: Source, names: Mapping[str, Any] | None = None) -> str:
    """Return `text` with each {name} replaced from `names`, or else from the settings."""
    if "{" not in text:
        return text
    of_record = {name: quote(str(value), safe="") for name, value in (names or {}).items()}
    known = {**vars(source.config), **of_record}
    try:
        return text.format_map(known)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigurationError(f"{text} cannot be filled in: {error}") from error


def at(answer: Any, path: str) -> Any:
    """Return the value at names joined by dots, None if there is none."""
    for name in path.split("."):
        if not isinstance(answer, Mapping):
            return None
        answer = answer.get(name)
    return answer
