"""Asynchronous HTTP under the egress policy, for the clients of language models.

Every connection uses an address that `check_host` returned. Redirects are not followed, and proxies, netrc and
environment variables are not used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from functools import cache
from typing import Any

import httpcore2
import httpx2

from apps.egress.policy import check_host

CONNECT_TIMEOUT = 10.0  # seconds
WRITE_TIMEOUT = 60.0  # seconds
MAX_RESPONSE_BYTES = 20 * 2**20


class ResponseTooLarge(httpx2.TransportError):
    """The response is larger than MAX_RESPONSE_BYTES."""


class CompressedResponse(httpx2.TransportError):
    """The server compresses its response, although the request asks it not to.

    A compressed response can be a thousand times as large as MAX_RESPONSE_BYTES after it was unpacked.
    """


class RedirectRefused(httpx2.TransportError):
    """The server redirects to another address. The request, which contains the key, is not sent there."""


class WebPageReceived(httpx2.TransportError):
    """The server answers with a web page although the request succeeded: the address is not that of an API."""


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to an address that `check_host` returned, never to a name."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._sockets = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await asyncio.to_thread(
            check_host, host, port, allow_private=self._allow_private
        )
        failure: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._sockets.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """A transport whose connections follow the egress policy, and whose responses are limited in size."""

    def __init__(self, *, allow_private: bool) -> None:
        super().__init__(verify=tls_context(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls_context(),
            max_connections=10,
            keepalive_expiry=30.0,
            network_backend=CheckedBackend(allow_private=allow_private),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        response = await super().handle_async_request(request)
        if response.has_redirect_location:
            await response.aclose()
            raise RedirectRefused("the server redirects to another address")
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            await response.aclose()
            raise CompressedResponse("the server compresses its response")
        if response.is_success and response.headers.get("Content-Type", "").lower().startswith(
            "text/html"
        ):
            await response.aclose()
            raise WebPageReceived("the server answers with a web page")
        response.stream = _LimitedStream(response.stream)
        return response


class _LimitedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_RESPONSE_BYTES:
                raise ResponseTooLarge(f"the response is larger than {MAX_RESPONSE_BYTES:,} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def async_client(*, allow_private: bool, read_timeout: float) -> httpx2.AsyncClient:
    """Return a client. `read_timeout` is the number of seconds between two parts of a response."""
    return httpx2.AsyncClient(
        transport=CheckedTransport(allow_private=allow_private),
        timeout=timeouts(read_timeout),
        trust_env=False,
        follow_redirects=False,
    )


def timeouts(read_timeout: float) -> httpx2.Timeout:
    return httpx2.Timeout(
        connect=CONNECT_TIMEOUT, read=read_timeout, write=WRITE_TIMEOUT, pool=CONNECT_TIMEOUT
    )


@cache
def tls_context() -> ssl.SSLContext:
    """Return the context with the certificates of this machine. Loading them takes 20 ms, so it is done once."""
    return httpx2.create_ssl_context(trust_env=False)
