"""HTTP under the egress policy: every connection, also after a redirect, uses a checked address."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from http.client import HTTPException
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import HTTPResponse
from urllib3.util.connection import create_connection
from urllib3.util.timeout import _TYPE_DEFAULT, Timeout

from apps.egress.exceptions import ProxyRefused
from apps.egress.policy import check_host
from apps.egress.traffic import traffic

MAX_REDIRECTS = 5
CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds between two bytes
SHORTEST = 0.001  # seconds; a socket with a timeout of 0 does not wait at all
CHUNK_SIZE = 1 << 16
MAX_REDIRECT_BODY = 1 << 16  # bytes of the body of a redirect that is followed

# Headers that a request may send to another host after a redirect. Other headers may contain credentials.
HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "connection", "host", "user-agent", "range"}
)


T = TypeVar("T")

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)  # of time.monotonic()


class BodyTooLargeError(requests.RequestException):
    """The body is larger than the `limit` of the caller, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the response is larger than {limit:,} bytes")
        self.limit = limit


class BodyTooSlowError(requests.RequestException):
    """The complete body did not arrive within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the response was not complete after {seconds:g} s")


class _CheckedConnection(HTTPConnection):
    """Connects to an address that `check_host` returned, never to a name."""

    allow_private: ClassVar[bool] = False

    def _new_conn(self) -> socket.socket:
        addresses = check_host(self._dns_host, self.port, allow_private=self.allow_private)
        last_error: OSError | None = None
        for address in addresses:
            try:
                return create_connection(
                    (address, self.port),
                    _left_of(self.timeout),
                    self.source_address,
                    self.socket_options,
                )
            except OSError as error:
                last_error = error
        if isinstance(last_error, TimeoutError):
            raise ConnectTimeoutError(
                self,
                f"connecting to {self._dns_host} timed out after {_timeout_text(self.timeout)} s",
            ) from last_error
        reason = (
            last_error.strerror
            if last_error is not None and last_error.strerror
            else str(last_error)
        )
        raise NewConnectionError(
            self, f"connecting to {self._dns_host} failed: {reason}"
        ) from last_error

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 does
        """Return the response when its headers are complete. Raises TimeoutError if they take longer than the timeout.

        The timeout of a socket is the time between two bytes, so a server could send headers for hours.
        """
        timeout = _left_of(self.timeout)
        if not isinstance(timeout, int | float):
            return super().getresponse()
        deadline = time.monotonic() + timeout
        closing = threading.Timer(timeout, _end_reading_of_socket, [self.sock])
        closing.daemon = True
        closing.start()
        try:
            response = super().getresponse()
        except (HTTPException, OSError) as error:
            if time.monotonic() < deadline:
                raise
            raise TimeoutError("the headers took too long") from error
        finally:
            closing.cancel()
        if time.monotonic() >= deadline:
            response.close()
            raise TimeoutError("the headers took too long")
        return response


class _CheckedTLSConnection(_CheckedConnection, HTTPSConnection):
    """A checked connection with TLS. The certificate must be valid for the name of the host."""


class _PrivateConnection(_CheckedConnection):
    allow_private = True


class _PrivateTLSConnection(_CheckedTLSConnection):
    allow_private = True


class _PublicPool(HTTPConnectionPool):
    ConnectionCls = _CheckedConnection


class _PublicTLSPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedTLSConnection


class _PrivatePool(HTTPConnectionPool):
    ConnectionCls = _PrivateConnection


class _PrivateTLSPool(HTTPSConnectionPool):
    ConnectionCls = _PrivateTLSConnection


class PolicyAdapter(HTTPAdapter):
    """A transport adapter of `requests` whose connections follow the egress policy."""

    def __init__(self, *, allow_private: bool, **options: Any) -> None:
        self.allow_private = allow_private
        super().__init__(**options)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = (
            {"http": _PrivatePool, "https": _PrivateTLSPool}
            if self.allow_private
            else {"http": _PublicPool, "https": _PublicTLSPool}
        )

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        raise ProxyRefused("proxies are not used")


class PolicySession(requests.Session):
    """A `requests.Session` under the egress policy. It ignores proxies, netrc and environment variables.

    It follows at most five redirects, and sends no credentials to another host. It raises EgressError for hosts that
    are not allowed. `timeout` is (connect, read) in seconds, for requests without a timeout.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        timeout: tuple[float, float] = (CONNECT_TIMEOUT, READ_TIMEOUT),
        pool_maxsize: int = 10,
    ) -> None:
        super().__init__()
        self.default_timeout = timeout
        apply_policy(self, allow_private=allow_private, pool_maxsize=pool_maxsize)

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self.default_timeout
        return super().request(method, url, *args, **kwargs)

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Any:
        """Follow redirects. Do nothing for a request that follows none.

        For such a request `requests` would prepare the next one. It would read the whole body of the redirect for that, and raise
        other exceptions than its own for an invalid address.
        """
        if kwargs.get("yield_requests"):
            return iter(())
        return super().resolve_redirects(*args, **kwargs)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        if response.request.url and prepared_request.url:
            drop_credentials(prepared_request, previous_url=response.request.url)


def apply_policy(
    session: requests.Session, *, allow_private: bool, pool_maxsize: int = 10, **options: Any
) -> None:
    """Apply the policy to a `requests.Session`: set its adapters and proxies, and limit redirects."""
    session.trust_env = False
    session.max_redirects = MAX_REDIRECTS
    find = session.get_redirect_target
    session.get_redirect_target = partial(_target_of_redirect, find)  # type: ignore[method-assign]
    session.adapters.clear()
    for scheme in ("https://", "http://"):
        session.mount(
            scheme,
            PolicyAdapter(allow_private=allow_private, pool_maxsize=pool_maxsize, **options),
        )


def _target_of_redirect(
    find: Callable[[requests.Response], str | None], response: requests.Response
) -> str | None:
    """Return the target of a redirect, if the response is one.

    `requests` reads the whole body of a redirect before it follows it, and a body without an end would fill the memory. So it is
    read here. Raises BodyTooLargeError and BodyTooSlowError.
    """
    target = find(response)
    if target is not None:
        response._content = read_body(response, limit=MAX_REDIRECT_BODY, seconds=READ_TIMEOUT)
    return target


def drop_credentials(request: requests.PreparedRequest, *, previous_url: str) -> None:
    """Remove the headers that may contain secrets, if the request goes to another origin than the previous URL."""
    if _origin(request.url or "") == _origin(previous_url):
        return
    for name in [name for name in request.headers if name.lower() not in HARMLESS_HEADERS]:
        del request.headers[name]


def read_body(response: requests.Response, *, limit: int, seconds: float) -> bytes:
    """Read the complete body of a streamed response, at most `limit` bytes within `seconds`.

    Raises BodyTooLargeError, BodyTooSlowError and the exceptions of `requests` for a broken connection.
    """
    parts: list[bytes] = []
    size = 0
    with time_limit(response, seconds):
        for chunk in response.iter_content(CHUNK_SIZE):
            size += len(chunk)
            traffic.report_transfer()
            if size > limit:
                response.close()
                raise BodyTooLargeError(limit)
            parts.append(chunk)
    return b"".join(parts)


@contextmanager
def total_time_limit(seconds: float) -> Iterator[None]:
    """Let all requests inside end after `seconds`, together with their redirects and bodies. Their own timeouts apply too.

    The timeouts of a request are those of its parts, and each redirect begins them again. Finding the addresses of a name is not
    ended, and sending a request waits at most as long as was left when it has connected.
    """
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def _left_of(timeout: T) -> T | float:
    """Return the timeout in seconds, or what is left of `total_time_limit` if that is less."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left = max(ends_at - time.monotonic(), SHORTEST)
    return min(timeout, left) if isinstance(timeout, int | float) else left


@contextmanager
def time_limit(response: requests.Response, seconds: float) -> Iterator[None]:
    """End the reading of a streamed body after `seconds`, and raise BodyTooSlowError.

    A read waits for the next byte, so a server that sends one byte now and then could let one read last for hours.
    Therefore a second thread closes the connection for reading.
    """
    limit = _left_of(seconds)
    deadline = time.monotonic() + limit
    closing = threading.Timer(limit, _end_reading, [response])
    closing.daemon = True
    closing.start()
    try:
        yield
    except (requests.RequestException, HTTPError, OSError) as error:
        if time.monotonic() < deadline or isinstance(error, BodyTooLargeError):
            raise
        raise BodyTooSlowError(seconds) from error
    finally:
        closing.cancel()
    if time.monotonic() >= deadline:
        response.close()
        raise BodyTooSlowError(seconds)


def _end_reading_of_socket(connected: socket.socket) -> None:
    with suppress(OSError):  # the connection was closed at this moment
        connected.shutdown(socket.SHUT_RD)


def _end_reading(response: requests.Response) -> None:
    with suppress(RuntimeError, ValueError, OSError):  # the body was complete at this moment
        response.raw.shutdown()


def url_without_secrets(url: str) -> str:
    """Return the URL without user, password, query and fragment, which may contain secrets."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _timeout_text(timeout: float | Timeout | _TYPE_DEFAULT | None) -> str:
    return f"{timeout:g}" if isinstance(timeout, int | float) else "?"
