"""Idempotency-Key: the first response to a key is stored and repeated, and the request takes effect only once.

A key is claimed before its handler runs. A normal handler stores its response in the same transaction: a parallel
request with the same key waits until that commits, and an error rolls the claim back with everything else. A handler
that returns `SlowResponse(..., once=True)` commits the claim before the slow part and stores its response in the
transaction of `then`. A parallel request gets 409 meanwhile, an error releases the claim, and the claim of a crashed
process expires after a while. Any other `SlowResponse` changes nothing, so its response is not stored.

A `Store` stores the claims.
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
KEPT_HEADERS = {"ETag", "Location"}  # the content type is known only after rendering


@dataclass(frozen=True)
class KeyedRequest:
    """A request with a key, as passed to a store. Bodies may contain secrets, so `digest` is a keyed digest."""

    key: str
    operation: str  # method and path, up to 200 characters
    digest: bytes


@dataclass(frozen=True)
class Answer:
    """A stored response. `body` may contain secrets that are shown only once: encrypt it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class ExistingClaim:
    """The claim of another request with the same key. `answer` is None while that request is being processed."""

    operation: str
    digest: bytes
    answer: Answer | None


class Store(Protocol):
    """Stores the claim of one request. Everything except `release` is called inside a transaction."""

    def claim(self, asked: KeyedRequest) -> ExistingClaim | None:
        """Claim the key. Returns None if it is ours now, otherwise the other request's claim."""

    def hold(self) -> bool:
        """Lock our claim until the transaction ends; False if it was taken over."""

    def keep(self, answer: Answer) -> None:
        """Store the response with our claim."""

    def drop(self) -> None:
        """Delete our claim."""

    def release(self) -> None:
        """Delete our claim in a separate transaction, unless it was taken over."""


def key_of(request: Request) -> str | None:
    """Return the key of a request, if it has one. Raises Problem 400 for an invalid one."""
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable()):
        message = "1 to 200 printable characters."
        raise Problem(400, f"Bad {HEADER}.", "malformed", [(HEADER, message, "invalid")])
    return key


def answer_once(
    request: Request,
    key: str,
    caller: str,
    store: Store,
    handler: Callable[[], Response | SlowResponse],
) -> Response | SlowResponse:
    """Return the response of `handler`, or the stored one if `caller` has sent the same request with this key
    before.

    Raises Problem 422 for a key that was used for another request, and 409 while its request is being
    processed.
    """
    operation = f"{request.method} {request.path}"[:200]
    asked = KeyedRequest(key, operation, _digest(request, caller))
    earlier = store.claim(asked)
    if earlier is not None:
        return _replay(asked, earlier)
    response = handler()
    if isinstance(response, SlowResponse):
        return _slowly(response, store)
    store.keep(_kept(response))
    return response


def _digest(request: Request, caller: str) -> bytes:
    said = [caller, request.get_full_path(), request.data]
    key = settings.SECRET_KEY.encode()
    return hmac.digest(key, b"idempotency:" + dumps(said), "sha256")


def _slowly(slowly: SlowResponse, store: Store) -> SlowResponse:
    """Store the response after `then`, or release the claim after an error. Without `once`, drop the claim now."""
    if not slowly.once:
        store.drop()
        return slowly

    def then(result: Any) -> Response:
        if not store.hold():
            raise in_use()
        response = slowly.then(result)
        store.keep(_kept(response))
        return response

    return replace(slowly, then=then, release=store.release)


def in_use() -> Problem:
    """Return the 409 for a key whose request is being processed."""
    message = f"A request with this {HEADER} is being processed: repeat yours in a moment."
    return Problem(409, message, "idempotency_key_in_use", headers={"Retry-After": "1"})


def _kept(response: Response) -> Answer:
    headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS}
    if response.content_type:
        headers["Content-Type"] = response.content_type
    return Answer(response.status_code, headers, JSONRenderer().render(response.data))


def _replay(asked: KeyedRequest, earlier: ExistingClaim) -> Response:
    if (earlier.operation, earlier.digest) != (asked.operation, asked.digest):
        message = f"This {HEADER} was used for another request."
        raise Problem(422, message, "idempotency_key_reused", [(HEADER, message, "reused")])
    if earlier.answer is None:
        raise in_use()
    headers = dict(earlier.answer.headers)
    content_type = headers.pop("Content-Type", None)
    replay = Response(
        earlier.answer.body or None,
        status=earlier.answer.status,
        headers=headers,
        content_type=content_type,
    )
    replay["Idempotency-Replayed"] = "true"
    return replay
