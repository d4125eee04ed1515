"""Put bizon's sources under our egress policy, and record every failed request.

Some of bizon's sources log a failed request and continue with fewer records. A recorded failure fails the page
all the same, unless the connector's settings allow gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    drop_credentials,
    obey_policy,
    read_body,
    url_without_secrets,
)
from apps.engine.failures import AuthenticationError, EngineError
from apps.engine.frames import json_values
from apps.engine.sources.http.answers import (
    MAY_PASS,
    SHOWN_BODY,
    Answer,
    refused,
    status_line,
    unanswered,
)

RETRIES = 4
MAX_BODY = 64 << 20  # bytes
BODY_SECONDS = 300.0
LONGEST_WAIT = 30.0  # seconds; a longer Retry-After fails the run instead of waiting


@dataclass(slots=True)
class Watch:
    """The requests since the page was started."""

    last: requests.Response | None = None
    failed: list[requests.Response | requests.RequestException] = field(default_factory=list)

    def begin(self) -> None:
        self.last = None
        self.failed.clear()

    def failure(self) -> EngineError | None:
        """Return the first failed request as our error."""
        return self.explained(self.failed[0]) if self.failed else None

    def explained(self, failed: requests.Response | requests.RequestException) -> EngineError:
        """Convert a failed request to our error; for an exception without a failed request, return None."""
        if isinstance(failed, requests.RequestException) and failed.request is None:
            failed.request = self.last.request if self.last is not None else None
        return explained(failed)


class WatchingAdapter(PolicyAdapter):
    """Sends requests under the policy and records how each ended."""

    def __init__(self, *, watch: Watch, **options: Any) -> None:
        self._watch = watch
        super().__init__(**options)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        if options.get("timeout") is None:
            options["timeout"] = (CONNECT_TIMEOUT, READ_TIMEOUT)
        try:
            response = super().send(request, **options)
            self._watch.last = response
            if not options.get("stream"):
                _hold(response)
        except requests.RequestException as error:
            self._watch.failed.append(error)
            raise
        if response.status_code >= requests.codes.bad_request:
            self._watch.failed.append(response)
        return response


def _hold(response: requests.Response) -> None:
    """Read the body, with limits on bytes and values, before bizon parses it as JSON."""
    response._content = read_body(response, limit=MAX_BODY, seconds=BODY_SECONDS)
    json_values.require_few_values(response._content)


class GuardMixin:
    """A mixin for bizon's source classes that replaces their session and authentication."""

    origin: ClassVar[Any]
    allow_private: ClassVar[bool]
    watch: ClassVar[Watch]

    def get_session(self) -> Any:
        session = self.origin.get_session(self)
        obey_policy(session, allow_private=self.allow_private)
        for scheme in ("https://", "http://"):
            adapter = WatchingAdapter(
                watch=self.watch, allow_private=self.allow_private, max_retries=_retries()
            )
            session.mount(scheme, adapter)
        session.rebuild_auth = _without_credentials_elsewhere
        return session

    def get_authenticator(self) -> AuthBase | None:
        auth: AuthBase | None = self.origin.get_authenticator(self)
        if isinstance(auth, Oauth2Authenticator):
            return RenewingAuth(auth, PolicySession(allow_private=self.allow_private))
        return auth


class RenewingAuth(Oauth2Authenticator):
    """bizon's OAuth, with requests to the token endpoint under the policy and its errors converted."""

    def __init__(self, original: Oauth2Authenticator, session: PolicySession) -> None:
        self.__dict__.update(original.__dict__)
        self._session = session

    def _get_refresh_access_token_response(self) -> Any:
        url = self.get_token_refresh_endpoint()
        try:
            response = self._session.post(url, data=self.build_refresh_request_body())
        except requests.RequestException as error:
            raise unanswered(error, f"POST {url_without_secrets(url)}") from error
        if response.status_code in {400, 401, 403}:
            evidence = answer_of(response).evidence
            raise AuthenticationError("the access token could not be renewed", evidence=evidence)
        if not response.ok:
            raise refused(response.status_code, answer_of(response))
        return response.json()


def under_policy(origin: type[Any], *, allow_private: bool, watch: Watch) -> type[Any]:
    """Return the class with the mixin applied."""
    members = {"origin": origin, "allow_private": allow_private, "watch": watch}
    return type(origin.__name__, (GuardMixin, origin), members)


def explained(failed: requests.Response | requests.RequestException) -> EngineError:
    """Convert a failed request to our error."""
    if isinstance(failed, requests.Response):
        return refused(failed.status_code, answer_of(failed))
    if failed.response is not None:
        return refused(failed.response.status_code, answer_of(failed.response))
    request = failed.request
    url = request.url if request is not None else None
    method = request.method if request is not None else ""
    return unanswered(failed, f"{method} {url_without_secrets(str(url or ''))}")


def answer_of(response: requests.Response) -> Answer:
    """Convert a response of `requests` to an `Answer`, with only the shown part of its body."""
    request = response.request
    asked = f"{request.method} {url_without_secrets(request.url or '')}"
    return Answer(status_line(response), asked, response.headers, response.content[:SHOWN_BODY], {})


def _without_credentials_elsewhere(
    request: requests.PreparedRequest, response: requests.Response
) -> None:
    drop_credentials(request, previous_url=response.request.url or "")


def _retries() -> CappedRetry:
    return CappedRetry(
        total=RETRIES,
        backoff_factor=0.5,
        status_forcelist=sorted(MAY_PASS),
        allowed_methods=["GET", "POST", "PATCH"],
        respect_retry_after_header=True,
        raise_on_status=False,
        max_retry_after=LONGEST_WAIT,
    )
