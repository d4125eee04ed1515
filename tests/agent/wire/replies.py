"""What a local server of a language model replies, independent of the provider's format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class End(StrEnum):
    """How a reply ends."""

    FINISHED = "finished"
    LENGTH = "length"  # the model has reached its limit
    REFUSED = "refused"
    WITHOUT_REASON = "without_reason"  # the stream is closed properly, without a finish reason
    BROKEN = "broken"  # the connection is closed in the middle of the stream
    FAILED = "failed"  # the provider reports an error in the middle of the stream


@dataclass(frozen=True)
class WireCall:
    """A tool call. `arguments` is the raw text, so it may be JSON that is cut. `pieces` is the number of its chunks."""

    name: str
    arguments: str = "{}"
    id: str | None = "call_1"
    pieces: int = 3


@dataclass(frozen=True)
class Reply:
    """One reply of the model. With another status than 200 it is an error of the provider."""

    text: str = ""
    calls: tuple[WireCall, ...] = ()
    end: End = End.FINISHED
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "The server had an error."  # of an error
    page: str = ""  # HTML instead of JSON, as proxies and web sites send it
    silence: float = 0.0  # seconds without a byte, in the middle of the stream
    has_usage: bool = True
    is_stream: bool = True  # else one JSON body, as a server answers that cannot stream


@dataclass(frozen=True)
class WireRequest:
    """A request that the server got. `number` counts from 0."""

    number: int
    path: str
    headers: dict[str, str]
    body: Any


Script = Sequence[Reply] | Callable[[WireRequest], Reply]


def reply_to(script: Script, request: WireRequest) -> Reply:
    """Return the reply of the script. The last reply of a list is repeated."""
    if callable(script):
        return script(request)
    return script[min(request.number, len(script) - 1)]


def words_of(text: str) -> list[str]:
    """Return the pieces in which a text is streamed. Joined they are the text."""
    return text.splitlines(keepends=True) if len(text) > 10_000 else _words(text)


def pieces_of(call: WireCall) -> list[str]:
    """Return the pieces in which the arguments of a call are streamed."""
    size = max(1, -(-len(call.arguments) // call.pieces))
    return [call.arguments[i : i + size] for i in range(0, len(call.arguments), size)]


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [word + " " for word in words[:-1]] + [word for word in words[-1:] if word]
