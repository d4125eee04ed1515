"""Count the tokens of all requests to a language model, also of answers that were discarded, broken or stopped.

with meters.count_tokens() as meter:
    await model.ainvoke(messages)
print(meter.input_tokens, meter.output_tokens)

A request counts as soon as the first part of its answer has arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Meter:
    """The tokens of the requests that were made inside one block. Blocks may be inside each other."""

    input_tokens: int = 0
    output_tokens: int = 0
    outer: Meter | None = None

    @property
    def is_used(self) -> bool:
        return bool(self.input_tokens or self.output_tokens)

    def add(self, input_tokens: int, output_tokens: int) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if self.outer is not None:
            self.outer.add(input_tokens, output_tokens)


_current: ContextVar[Meter | None] = ContextVar("current_meter", default=None)


@contextmanager
def count_tokens() -> Iterator[Meter]:
    """Count the tokens of the requests inside the block, also those of tasks that it starts."""
    meter = Meter(outer=_current.get())
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def add(input_tokens: int, output_tokens: int) -> None:
    """Add the tokens of one request to the meter of the current block, if there is one."""
    meter = _current.get()
    if meter is not None:
        meter.add(input_tokens, output_tokens)
