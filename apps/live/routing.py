"""The routes of event streams for Channels: `…/events` for server-sent events, and `…/ws` for websockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.urls import path

from apps.live import subjects
from apps.live.consumers import EventStreamConsumer, Receive, Scope, Send, WebsocketConsumer
from apps.live.streams import Streams

Application = Callable[[Scope, Receive, Send], Any]


def event_stream_routes(streams: Streams, *, other_methods: Application) -> list[Any]:
    """Return the routes of server-sent events. Requests with a method other than GET go to `other_methods`."""
    consumer: Any = EventStreamConsumer.as_asgi(streams=streams)

    async def follow(scope: Scope, receive: Receive, send: Send) -> None:
        application = consumer if scope["method"] == "GET" else other_methods
        await application(scope, receive, send)

    return [
        _route("api/v1/events", follow),
        *(
            _route(f"api/v1/{subject.path}/events", follow, subject=subject)
            for subject in subjects.all_subjects()
        ),
    ]


def websocket_routes(streams: Streams) -> list[Any]:
    """Return the routes of websockets."""
    consumer: Any = WebsocketConsumer.as_asgi(streams=streams)
    return [
        _route("api/v1/ws", consumer),
        *(
            _route(f"api/v1/{subject.path}/ws", consumer, subject=subject)
            for subject in subjects.all_subjects()
        ),
    ]


def _route(pattern: str, application: Any, **fixed_arguments: subjects.Subject) -> Any:
    """Return a route of Channels. The arguments are those of `StreamTarget`."""
    return path(pattern, application, fixed_arguments)
