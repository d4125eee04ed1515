"""Idempotency-Key: the first response to a key is stored and repeated, and the request takes effect only once.

Each request claims its key before the handler runs. A normal handler stores its response in the same transaction. A
parallel request with the same key waits for the commit, and an error also rolls the claim back.

A handler that returns `SlowResponse(..., once=True)` commits the claim before the slow work, and stores its response in
the transaction of `then`. Until then a parallel request gets 409. An error releases the claim. The claim of a crashed
process expires. Any other `SlowResponse` changes nothing, so its response is not stored.

A `Store` stores the claims and the responses.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from apps.web.problems import Problem
from apps.web.slow import SlowResponse
from apps.web.wire import JSONRenderer, dumps

HEADER = "Idempotency-Key"
STORED_HEADERS = {"ETag", "Location"}  # The content type is stored separately.


@dataclass(frozen=True)
class KeyedRequest:
    """A request with an idempotency key. `digest` is an HMAC of the request, because its body may contain secrets."""

    key: str
    operation: str  # method and path, up to 200 characters
    digest: bytes


@dataclass(frozen=True)
class StoredResponse:
    """A stored response. `body` may contain secrets that are shown only once: encrypt it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class ExistingClaim:
    """The claim of another request with the same key. `response` is None while that request is being processed."""

    operation: str
    digest: bytes
    response: StoredResponse | None


class Store(Protocol):
    """Stores the claim of one request. Everything except `release` is called inside a transaction."""

    def claim(self, request: KeyedRequest) -> ExistingClaim | None:
        """Claim the key. Returns None on success, or else the claim of another request."""

    def lock_claim(self) -> bool:
        """Lock the claim of this request until the transaction ends. Returns False if another request has it now."""

    def store_response(self, response: StoredResponse) -> None:
        """Store the response together with the claim."""

    def delete_claim(self) -> None:
        """Delete the claim."""

    def release(self) -> None:
        """Delete the claim in a separate transaction, unless another request has taken it over."""


def key_of(request: Request) -> str | None:
    """Return the key of a request, or None if it has no key. Raises Problem 400 for an invalid key."""
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable()):
        message = "1 to 200 printable characters."
        raise Problem(400, f"Bad {HEADER}.", "malformed", [(HEADER, message, "invalid")])
    return key


def process_once(
    request: Request,
    key: str,
    caller: str,
    store: Store,
    handler: Callable[[], Response | SlowResponse],
) -> Response | SlowResponse:
    """Return the response of `handler`, or the stored response if `caller` has sent this request with this key before.

    Raises Problem 422 if the key was used for another request, and 409 while the first request is being processed.
    """
    operation = f"{request.method} {request.path}"[:200]
    keyed_request = KeyedRequest(key, operation, _digest(request, caller))
    earlier_claim = store.claim(keyed_request)
    if earlier_claim is not None:
        return _replay(keyed_request, earlier_claim)
    response = handler()
    if isinstance(response, SlowResponse):
        return _wrap_slow_response(response, store)
    store.store_response(_as_stored_response(response))
    return response


def _digest(request: Request, caller: str) -> bytes:
    content = [caller, request.get_full_path(), request.data]
    key = settings.SECRET_KEY.encode()
    return hmac.digest(key, b"idempotency:" + dumps(content), "sha256")


def _wrap_slow_response(slow_response: SlowResponse, store: Store) -> SlowResponse:
    """Store the response after `then`, or release the claim after an error. Without `once`, delete the claim now."""
    if not slow_response.once:
        store.delete_claim()
        return slow_response

    def then(result: Any) -> Response | SlowResponse:
        if not store.lock_claim():
            raise key_in_use()
        response = slow_response.then(result)
        if isinstance(response, SlowResponse):
            return _wrap_slow_response(response, store)
        store.store_response(_as_stored_response(response))
        return response

    return replace(slow_response, then=then, release=store.release)


def key_in_use() -> Problem:
    """Return Problem 409 for a key whose first request is still being processed."""
    message = f"A request with this {HEADER} is being processed: repeat your request in a moment."
    return Problem(409, message, "idempotency_key_in_use", headers={"Retry-After": "1"})


def _as_stored_response(response: Response) -> StoredResponse:
    headers = {k: v for k, v in response.headers.items() if k in STORED_HEADERS}
    if response.content_type:
        headers["Content-Type"] = response.content_type
    return StoredResponse(response.status_code, headers, JSONRenderer().render(response.data))


def _replay(keyed_request: KeyedRequest, earlier_claim: ExistingClaim) -> Response:
    if (earlier_claim.operation, earlier_claim.digest) != (
        keyed_request.operation,
        keyed_request.digest,
    ):
        message = f"This {HEADER} was used for another request."
        raise Problem(422, message, "idempotency_key_reused", [(HEADER, message, "reused")])
    if earlier_claim.response is None:
        raise key_in_use()
    headers = dict(earlier_claim.response.headers)
    content_type = headers.pop("Content-Type", None)
    replay = Response(
        earlier_claim.response.body or None,
        status=earlier_claim.response.status,
        headers=headers,
        content_type=content_type,
    )
    replay["Idempotency-Replayed"] = "true"
    return replay
