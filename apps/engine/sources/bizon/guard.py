"""Put bizon's sources under our egress policy, and record every failed request.

Some of bizon's sources log a failed request and continue with fewer records. A recorded failure fails the
page nevertheless, unless the connector's settings allow gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import requests
from bizon.source.auth.authenticators.oauth import Oauth2Authenticator
from bizon.source.session import CappedRetry
from requests.auth import AuthBase

from apps.egress.http import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    PolicyAdapter,
    PolicySession,
    apply_policy,
    drop_credentials,
    read_body,
    url_without_secrets,
)
from apps.engine.failures import AuthenticationError, EngineError
from apps.engine.frames import json_values
from apps.engine.frames.json_numbers import parse_json
from apps.engine.sources.http.responses import (
    MAX_SHOWN_BODY,
    TEMPORARY_STATUSES,
    CompleteResponse,
    request_failure,
    status_failure,
    status_line,
)

RETRIES = 4
MAX_BODY = 64 << 20  # bytes
BODY_SECONDS = 300.0  # the longest time to read a body
MAX_RETRY_AFTER_SECONDS = 30.0  # the longest wait before a retry, even if Retry-After is longer


@dataclass(slots=True)
class RequestLog:
    """The last response, and all failed requests, since the log was cleared."""

    last_response: requests.Response | None = None
    failed_requests: list[requests.Response | requests.RequestException] = field(
        default_factory=list
    )

    def clear(self) -> None:
        self.last_response = None
        self.failed_requests.clear()

    def failure(self) -> EngineError | None:
        """Return the error for the first failed request, or None."""
        return self.convert(self.failed_requests[0]) if self.failed_requests else None

    def convert(self, failed_request: requests.Response | requests.RequestException) -> EngineError:
        """Convert a failed request to an EngineError.

        If an exception has no request, the request of the last response is used.
        """
        if isinstance(failed_request, requests.RequestException) and failed_request.request is None:
            failed_request.request = (
                self.last_response.request if self.last_response is not None else None
            )
        return convert_failed_request(failed_request)


class RecordingAdapter(PolicyAdapter):
    """Sends requests under the egress policy, and records the last response and all failures."""

    def __init__(self, *, request_log: RequestLog, **options: Any) -> None:
        self._request_log = request_log
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_TIMEOUT, READ_TIMEOUT)
        try:
            response = super().send(request, **options)
            self._request_log.last_response = response
            if not options.get("stream"):
                _read_body(response)
        except requests.RequestException as error:
            self._request_log.failed_requests.append(error)
            raise
        if response.status_code >= requests.codes.bad_request:
            self._request_log.failed_requests.append(response)
        return response


def _read_body(response: requests.Response) -> None:
    """Read the body, with limits on bytes and values, before bizon parses it as JSON."""
    response._content = read_body(response, limit=MAX_BODY, seconds=BODY_SECONDS)
    json_values.require_few_values(response._content)
    response.json = partial(_parse_exactly, response)  # type: ignore[method-assign]


def _parse_exactly(response: requests.Response, **options: Any) -> Any:
    """Return the body as JSON whose numbers keep their text. Raises requests.JSONDecodeError."""
    if not options:
        try:
            return parse_json(response.content)
        except (ValueError, RecursionError):
            pass  # The original method knows more encodings, and raises its own error.
    return requests.Response.json(response, **options)


class GuardMixin:
    """A mixin for bizon's source classes that replaces their session and authentication."""

    bizon_class: ClassVar[Any]
    allow_private: ClassVar[bool]
    request_log: ClassVar[RequestLog]

    def get_session(self) -> Any:
        session = self.bizon_class.get_session(self)
        apply_policy(session, allow_private=self.allow_private)
        for scheme in ("https://", "http://"):
            adapter = RecordingAdapter(
                request_log=self.request_log,
                allow_private=self.allow_private,
                max_retries=_retry_policy(),
            )
            session.mount(scheme, adapter)
        session.rebuild_auth = _drop_credentials_for_other_hosts
        return session

    def get_authenticator(self) -> AuthBase | None:
        auth: AuthBase | None = self.bizon_class.get_authenticator(self)
        if isinstance(auth, Oauth2Authenticator):
            return GuardedOauth2(auth, PolicySession(allow_private=self.allow_private))
        return auth


class GuardedOauth2(Oauth2Authenticator):
    """bizon's OAuth authentication, with token requests under the egress policy. Raises EgressError and EngineError."""

    def __init__(self, original: Oauth2Authenticator, session: PolicySession) -> None:
        self.__dict__.update(original.__dict__)
        self._session = session

    def _get_refresh_access_token_response(self) -> Any:
        url = self.get_token_refresh_endpoint()
        try:
            response = self._session.post(url, data=self.build_refresh_request_body())
        except requests.RequestException as error:
            raise request_failure(error, f"POST {url_without_secrets(url)}") from error
        if response.status_code in {400, 401, 403}:
            evidence = to_complete_response(response).evidence
            raise AuthenticationError("the access token could not be renewed", evidence=evidence)
        if not response.ok:
            raise status_failure(response.status_code, to_complete_response(response))
        return response.json()


def guarded_class(
    bizon_class: type[Any], *, allow_private: bool, request_log: RequestLog
) -> type[Any]:
    """Return a subclass of `bizon_class` whose requests are subject to the egress policy and recorded."""
    members = {
        "bizon_class": bizon_class,
        "allow_private": allow_private,
        "request_log": request_log,
    }
    return type(bizon_class.__name__, (GuardMixin, bizon_class), members)


def convert_failed_request(
    failed_request: requests.Response | requests.RequestException,
) -> EngineError:
    """Convert a failed request to an EngineError."""
    if isinstance(failed_request, requests.Response):
        return status_failure(failed_request.status_code, to_complete_response(failed_request))
    if failed_request.response is not None:
        return status_failure(
            failed_request.response.status_code, to_complete_response(failed_request.response)
        )
    request = failed_request.request
    url = request.url if request is not None else None
    method = request.method if request is not None else ""
    return request_failure(failed_request, f"{method} {url_without_secrets(str(url or ''))}")


def to_complete_response(response: requests.Response) -> CompleteResponse:
    """Convert a response of `requests`, with only the part of its body that is shown as evidence."""
    request = response.request
    request_line = f"{request.method} {url_without_secrets(request.url or '')}"
    return CompleteResponse(
        status_line(response), request_line, response.headers, response.content[:MAX_SHOWN_BODY], {}
    )


def _drop_credentials_for_other_hosts(
    request: requests.PreparedRequest, response: requests.Response
) -> None:
    drop_credentials(request, previous_url=response.request.url or "")


def _retry_policy() -> CappedRetry:
    return CappedRetry(
        total=RETRIES,
        backoff_factor=0.5,
        status_forcelist=sorted(TEMPORARY_STATUSES),
        allowed_methods=["GET", "POST", "PATCH"],
        respect_retry_after_header=True,
        raise_on_status=False,
        max_retry_after=MAX_RETRY_AFTER_SECONDS,
    )
