"""Send the requests of streams, and read their pages by the rules that custom sources share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any

from loguru import logger
from requests.auth import AuthBase

from apps.engine.failures import ConfigurationError, EngineError, PositionGone, SourceError
from apps.engine.library import failures, faults, paths, responses, trails, walk
from apps.engine.sources.http.responses import (
    CompleteResponse,
    PermanentSourceError,
    RequestRefused,
    RetryingClient,
    TokenRefused,
    status_failure,
)
from apps.engine.sources.rest import placeholders
from apps.engine.sources.rest.auth import AccessTokenAuth, ApiKeyAuth, Auth, make_authenticator
from apps.engine.sources.rest.config import SECRET_PARAMS, Config, Stream
from apps.engine.sources.rest.urls import (
    allowed_url,
    join_url,
    remove_param,
    without_params_of,
)

Token = Mapping[str, Any]
POSITION_FIELDS = ("page", "offset", "cursor", "url", "progress")


@dataclass(frozen=True)
class ReadOptions:
    """What is the same for all pages of a read: the records since a cursor value, and the fields of the key."""

    since: Any = None
    primary_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReadResponse:
    """A response for the rules of pagination, and the lines that show it in a failure."""

    response: responses.Response
    evidence: tuple[str, ...]


class StreamReader:
    """Reads the pages of the streams. The token of a page of a child stream has that of the page of its parent."""

    def __init__(
        self,
        settings: Config,
        client: Callable[[], RetryingClient],
        parse_json: Callable[[CompleteResponse], Any],
    ) -> None:
        self._settings = settings
        self._client = client
        self._parse_json = parse_json
        self._streams = {stream.name: stream for stream in settings.streams}
        self._facts: dict[str, walk.StreamFacts] = {}
        self._were_read: set[str] = set()  # names of streams of which this attempt has read a page
        # The newest page of each parent.
        self._parent_pages: dict[str, tuple[Token, walk.Step]] = {}
        self._authenticator = cache(lambda name: self._make_authenticator(name))

    def read(self, stream: Stream, token: Token, options: ReadOptions) -> walk.Step:
        """Return the records of a page and the token of the next page. Raises EngineError."""
        if stream.parent is None:
            return self._read_step(stream, token, options, None)
        return self._read_child(stream, self._streams[stream.parent], token, options)

    def _read_child(
        self, stream: Stream, parent: Stream, token: Token, options: ReadOptions
    ) -> walk.Step:
        """Return a page of the children of one parent. The token says which parent of which page of parents."""
        parent_token = token.get("parent") or {}
        parents = self._parents(parent, parent_token)
        if not parents.records:
            return walk.Step([], {"parent": parents.next_token} if parents.next_token else {})
        index = _index_of_parent(parents.records, token)
        record = parents.records[index]
        step = self._read_step(stream, token, options, record)
        records = _with_parent_fields(stream, step.records, record)
        if step.next_token:
            place = {"parent": parent_token, "index": index, "of": trails.digest(record)}
            return walk.Step(records, {**step.next_token, **place})
        if index + 1 < len(parents.records):
            following = trails.digest(parents.records[index + 1])
            return walk.Step(records, {"parent": parent_token, "index": index + 1, "of": following})
        return walk.Step(records, {"parent": parents.next_token} if parents.next_token else {})

    def _parents(self, parent: Stream, token: Token) -> walk.Step:
        known = self._parent_pages.get(parent.name)
        if known is not None and known[0] == token:
            return known[1]
        step = self.read(parent, token, ReadOptions(primary_key=tuple(parent.primary_key)))
        self._parent_pages[parent.name] = (dict(token), step)
        return step

    def _read_step(
        self, stream: Stream, token: Token, options: ReadOptions, parent: Any
    ) -> walk.Step:
        evidence: list[str] = []
        continues = stream.name not in self._were_read and bool(token.keys() & {"cursor", "url"})

        def ask(request: responses.Request, *, is_probe: bool = False) -> responses.Response:
            answer = self._ask(stream, request, options, parent, is_probe=is_probe)
            evidence[:] = answer.evidence
            if continues and answer.response.action == "end":
                raise _cursor_refused(answer.evidence)
            return answer.response

        reader = walk.Walk(
            style=(stream.pagination or self._settings.pagination).style(),
            ask=ask,
            records_path=stream.records_path,
            key_field=stream.key_field,
            may_be_object=True,
            primary_key=options.primary_key,
            is_partial=options.since is not None and _sends_cursor(stream),
            is_child=parent is not None,
            max_pages=self._settings.max_pages,
            warn=logger.warning,
            facts=self._facts.setdefault(stream.name, walk.StreamFacts()),
        )
        try:
            step = reader.read({name: token[name] for name in POSITION_FIELDS if name in token})
        except failures.SourceFailure as failure:
            raise as_engine_error(failure, tuple(evidence)) from failure
        except RequestRefused as error:
            if continues:
                raise _cursor_refused(error.evidence) from error
            if token.keys() & {"page", "offset"}:
                raise _page_refused(error) from error
            raise
        self._were_read.add(stream.name)
        return replace(step, next_token=self._safe_token(stream, step.next_token, parent))

    def _ask(
        self,
        stream: Stream,
        request: responses.Request,
        options: ReadOptions,
        parent: Any,
        *,
        is_probe: bool,
    ) -> ReadResponse:
        try:
            return self._send(stream, request, options, parent, is_probe=is_probe)
        except TokenRefused:
            # An access token may be revoked before it expires.
            authenticator = self._authenticator(stream.name)
            if not isinstance(authenticator, AccessTokenAuth) or not authenticator.drop_token():
                raise
        return self._send(stream, request, options, parent, is_probe=is_probe)

    def _send(
        self,
        stream: Stream,
        request: responses.Request,
        options: ReadOptions,
        parent: Any,
        *,
        is_probe: bool,
    ) -> ReadResponse:
        url, params = self._url_and_params(stream, request, options, parent)
        accepted: set[int] = {action.status_code for action in stream.response_actions}
        return self._client().request(
            lambda response: self._to_response(stream, response, url, is_probe=is_probe),
            stream.method,
            url,
            params=params,
            json=self._body(stream, request, options, parent),
            headers=stream.headers,
            auth=self._authenticator(stream.name),
            accepted=accepted | responses.PROBE_STATUSES if is_probe else accepted,
        )

    def _to_response(
        self, stream: Stream, response: CompleteResponse, url: str, *, is_probe: bool
    ) -> ReadResponse:
        """Return the response for the rules of pagination. Raises EngineError for a status that is a failure."""
        action = chosen_action(stream, response)
        if response.status >= HTTPStatus.BAD_REQUEST and not action and not is_probe:
            raise status_failure(response.status, response)
        has_document = response.status < 300 and response.status != HTTPStatus.NO_CONTENT
        return ReadResponse(
            responses.Response(
                status=response.status,
                document=self._parse_json(response) if has_document and not action else None,
                headers=response.headers,
                url=url,
                next_link=responses.find_next_link(response.links),
                action=action,
            ),
            response.evidence,
        )

    def _url_and_params(
        self, stream: Stream, request: responses.Request, options: ReadOptions, parent: Any
    ) -> tuple[str, dict[str, Any]]:
        key_params = self._api_key_params(stream)
        if request.url is not None:
            secret_params = self._secret_params(stream, parent)
            return request.url, without_params_of(request.url, secret_params) | key_params
        params = {
            **self._settings.params,
            **placeholders.fill_values(stream.params, parent),
            **request.params,
        }
        if stream.cursor_param and options.since is not None:
            params[stream.cursor_param] = options.since
        texts = {name: _param_value(value) for name, value in (params | key_params).items()}
        return self._url(stream, parent), texts

    def _url(self, stream: Stream, parent: Any) -> str:
        return join_url(self._settings.base_url, placeholders.fill_path(stream.path, parent))

    def _body(
        self, stream: Stream, request: responses.Request, options: ReadOptions, parent: Any
    ) -> dict[str, Any] | None:
        if stream.method != "POST":
            if request.body:
                raise ConfigurationError("values in the JSON body need the method POST")
            return None
        base = placeholders.fill_values(stream.json_body, parent)
        body = request.body_with(base)
        if stream.cursor_body_path and options.since is not None:
            body = paths.put(body or {}, stream.cursor_body_path, options.since)
        return body

    def _safe_token(self, stream: Stream, token: dict[str, Any], parent: Any) -> dict[str, Any]:
        """Return the token with a link to an allowed host only, and without our secrets, because tokens are stored."""
        if "url" not in token:
            return token
        url = allowed_url(token["url"], self._url(stream, parent), self._settings.link_hosts)
        auth = self._auth(stream.name)
        if isinstance(auth, ApiKeyAuth) and auth.location == "query":
            url = remove_param(url, auth.name)
        for name, value in self._secret_params(stream, parent).items():
            url = remove_param(url, name, value)
        return {**token, "url": url}

    def _secret_params(self, stream: Stream, parent: Any) -> dict[str, str]:
        """Return the query parameters of the settings whose names say that they are secret."""
        params = {**self._settings.params, **placeholders.fill_values(stream.params, parent)}
        return {
            name: str(_param_value(value))
            for name, value in params.items()
            if re.search(SECRET_PARAMS, name)
        }

    def _auth(self, stream_name: str) -> Auth:
        return self._streams[stream_name].auth or self._settings.auth

    def _make_authenticator(self, stream_name: str) -> AuthBase | None:
        """Return the authenticator of the stream. Streams without their own share one, and so its access token."""
        if stream_name and self._streams[stream_name].auth is None:
            shared: AuthBase | None = self._authenticator("")
            return shared
        auth = self._auth(stream_name) if stream_name else self._settings.auth
        return make_authenticator(auth, self._client)

    def _api_key_params(self, stream: Stream) -> dict[str, Any]:
        auth = self._auth(stream.name)
        if isinstance(auth, ApiKeyAuth) and auth.location == "query":
            return {auth.name: auth.key}
        return {}


def as_engine_error(failure: failures.SourceFailure, evidence: tuple[str, ...]) -> EngineError:
    """Return the engine's exception for a failure of the shared rules, with the evidence of the response."""
    lines = (*failure.evidence, *evidence)
    if isinstance(failure, faults.RecordsRemoved):
        return PositionGone(str(failure), evidence=lines)
    if failure.failure == "configuration":
        return ConfigurationError(str(failure), evidence=lines)
    error_type = SourceError if failure.retryable else PermanentSourceError
    return error_type(str(failure), evidence=lines)


def _cursor_refused(evidence: tuple[str, ...]) -> PositionGone:
    """Return the exception for the first request of an attempt with a cursor or link of an earlier one."""
    return PositionGone(
        "the API does not accept the cursor or link at which an earlier attempt has stopped",
        evidence=evidence,
    )


def _page_refused(error: RequestRefused) -> RequestRefused:
    """Return the exception for a page by number or offset after the first one."""
    return RequestRefused(
        f"{error.message} of a later page; if it answers so after the last page, set `response_actions` of the stream with"
        " the action `end` for this status",
        evidence=error.evidence,
    )


def chosen_action(stream: Stream, response: CompleteResponse) -> str:
    """Return the action of the settings for this response, or an empty text."""
    for action in stream.response_actions:
        if action.status_code == response.status and (
            action.content is None or action.content in response.body.decode("utf-8", "replace")
        ):
            return action.action
    return ""


def _sends_cursor(stream: Stream) -> bool:
    return stream.cursor_param is not None or stream.cursor_body_path is not None


def _index_of_parent(records: list[Any], token: Token) -> int:
    """Return the index of the parent in the token, also if records before it were added or removed.

    Raises PositionGone if it is not on its page any more.
    """
    if "index" not in token:
        return 0
    index, digest = int(token["index"]), token["of"]
    if index < len(records) and trails.digest(records[index]) == digest:
        return index
    for other, record in enumerate(records):
        if trails.digest(record) == digest:
            return other
    raise PositionGone(
        "the record of the parent stream changed or is gone since its children were read"
    )


def _with_parent_fields(stream: Stream, records: list[Any], parent: Any) -> list[Any]:
    if not stream.include_from_parent:
        return records
    fields = {
        f"_{stream.parent}_{name}": paths.find(parent, name) for name in stream.include_from_parent
    }
    found = {name: None if value is paths.MISSING else value for name, value in fields.items()}
    return [{**record, **found} if isinstance(record, Mapping) else record for record in records]


def _param_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
