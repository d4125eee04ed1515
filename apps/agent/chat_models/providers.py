"""Build the chat model of a connection. Only the worker and the process of a check import this module.

The addresses are always given, because the providers' packages otherwise read them from environment variables.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property

import httpx2
from langchain_core.language_models import BaseChatModel

from apps.agent.chat_models.connections import ModelConnection, Provider
from apps.agent.chat_models.strict import StrictModel
from apps.egress import async_http

UNUSED_KEY = "none"  # for servers without keys, because the clients require one


def build(connection: ModelConnection) -> StrictModel:
    """Return the model. The caller closes it with `aclose`."""
    client = async_http.async_client(
        allow_private=connection.allow_private, read_timeout=connection.timeout
    )
    inner = BUILDERS[connection.provider](connection, client)
    return StrictModel(
        inner=inner,
        client=client,
        secrets=connection.secrets,
        chunk_timeout=connection.timeout,
        is_of_operator=connection.is_of_operator,
    )


@cache
def _unused_client() -> httpx2.Client:
    """Return a client that sends nothing, for the synchronous half of ChatOpenAI, which Drover does not use.

    Without it, each turn would load all certificates for a client of its own, which takes 20 ms.
    """
    return httpx2.Client(transport=httpx2.BaseTransport(), trust_env=False)


def _build_openai(connection: ModelConnection, client: httpx2.AsyncClient) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=connection.model,
        api_key=lambda: connection.key or UNUSED_KEY,
        base_url=connection.url,
        http_async_client=client,
        http_client=_unused_client(),
        openai_proxy=None,
        organization=None,
        temperature=connection.temperature,
        timeout=async_http.timeouts(connection.timeout),
        stream_chunk_timeout=None,  # StrictModel limits the time between two chunks
        max_retries=0,  # StrictModel tries again
        use_responses_api=False,
        stream_usage=True,
    )


def _build_anthropic(connection: ModelConnection, client: httpx2.AsyncClient) -> BaseChatModel:
    import anthropic
    from langchain_anthropic import ChatAnthropic

    class CheckedAnthropic(ChatAnthropic):
        """ChatAnthropic has no parameter for its HTTP client."""

        @cached_property
        def _async_client(self) -> anthropic.AsyncClient:
            return anthropic.AsyncClient(**self._client_params, http_client=client)

    return CheckedAnthropic(
        model=connection.model,
        api_key=connection.key or UNUSED_KEY,
        base_url=connection.url,
        temperature=connection.temperature,
        timeout=connection.timeout,
        max_retries=0,
    )


def _build_google(connection: ModelConnection, client: httpx2.AsyncClient) -> BaseChatModel:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return ChatGoogleGenerativeAI(
        model=connection.model,
        api_key=connection.key or UNUSED_KEY,
        base_url=connection.url,
        client_args={
            "transport": client._transport,
            "trust_env": False,
            # Nothing uses these, because of the transport. Without them, each turn would load all certificates twice.
            "verify": async_http.tls_context(),
            "ssl": async_http.tls_context(),
        },
        temperature=connection.temperature,
        timeout=connection.timeout,
        max_retries=1,  # one attempt: zero would mean the default number
        vertexai=False,
    )


BUILDERS: dict[Provider, Callable[[ModelConnection, httpx2.AsyncClient], BaseChatModel]] = {
    Provider.OPENAI: _build_openai,
    Provider.OPENAI_COMPATIBLE: _build_openai,
    Provider.ANTHROPIC: _build_anthropic,
    Provider.GOOGLE: _build_google,
}
