"""Idempotency-Key: the first answer to a key is kept and sent again, and its effect never happens twice.

A key is claimed before its handler runs. A handler that answers at once keeps its answer in the same transaction: a
parallel twin waits on the claim until that one commits, and an error leaves no claim, because it left nothing else.

A handler that returns `Slowly(..., once=True)` commits the claim before the slow part and keeps its answer in the
transaction of `then`. A parallel twin gets 409 meanwhile, an error releases the claim, and a claim that a crashed
process left behind counts as given up after a while. Any other `Slowly` makes nothing: it keeps no answer.

Where claims are kept is the business of a `Store`.
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
from apps.web.slow import Slowly
from apps.web.wire import JSONRenderer, dumps

HEADER = "Idempotency-Key"
KEPT_HEADERS = {"ETag", "Location"}  # the content type is known only once an answer is rendered


@dataclass(frozen=True)
class Asked:
    """A request with a key, as a store may know it. Bodies may hold secrets, so `digest` is a keyed digest."""

    key: str
    operation: str  # method and path, up to 200 characters
    digest: bytes


@dataclass(frozen=True)
class Answer:
    """An answer as it is kept. `body` may hold what is shown once: store it sealed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Earlier:
    """What another request with the same key left. `answer` is None while that request is being answered."""

    operation: str
    digest: bytes
    answer: Answer | None


class Store(Protocol):
    """Where the claim of one request is kept. Everything but `release` is called inside a transaction."""

    def claim(self, asked: Asked) -> Earlier | None:
        """Claim the key. None means that it is ours; otherwise what holds it."""

    def hold(self) -> bool:
        """Lock our claim until the transaction ends; False when it was taken over."""

    def keep(self, answer: Answer) -> None:
        """Keep the answer to our claim."""

    def drop(self) -> None:
        """Forget our claim."""

    def release(self) -> None:
        """Forget our claim in a transaction of its own, unless it was taken over."""


def key_of(request: Request) -> str | None:
    """The key of a request, if it has one. Raises Problem 400 for a bad one."""
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable()):
        message = "1 to 200 printable characters."
        raise Problem(400, f"Bad {HEADER}.", "malformed", [(HEADER, message, "invalid")])
    return key


def answer_once(
    request: Request, key: str, caller: str, store: Store, handler: Callable[[], Response | Slowly]
) -> Response | Slowly:
    """The answer of `handler`, or the kept one when `caller` has asked the same with this key before.

    Raises Problem 422 for a key that was used for another request, and 409 while its request is being answered.
    """
    operation = f"{request.method} {request.path}"[:200]
    asked = Asked(key, operation, _digest(request, caller))
    earlier = store.claim(asked)
    if earlier is not None:
        return _replay(asked, earlier)
    response = handler()
    if isinstance(response, Slowly):
        return _slowly(response, store)
    store.keep(_kept(response))
    return response


def _digest(request: Request, caller: str) -> bytes:
    said = [caller, request.get_full_path(), request.data]
    key = settings.SECRET_KEY.encode()
    return hmac.digest(key, b"idempotency:" + dumps(said), "sha256")


def _slowly(slowly: Slowly, store: Store) -> Slowly:
    """The same work, whose claim is kept, or released after an error, if it makes something."""
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
    """409: another request with this key is being answered."""
    message = f"A request with this {HEADER} is being answered: repeat yours in a moment."
    return Problem(409, message, "idempotency_key_in_use", headers={"Retry-After": "1"})


def _kept(response: Response) -> Answer:
    headers = {k: v for k, v in response.headers.items() if k in KEPT_HEADERS}
    if response.content_type:
        headers["Content-Type"] = response.content_type
    return Answer(response.status_code, headers, JSONRenderer().render(response.data))


def _replay(asked: Asked, earlier: Earlier) -> Response:
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
