"""Calls to slow systems that have to be made outside every transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apps.orgs.principals import Principal

ResultT = TypeVar("ResultT")


def _nothing(result: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SlowCall(Generic[ResultT]):
    """A call to a slow system that the principal may make. An action returns it, and a view runs it later.

    `run` makes the call, outside every transaction. `recheck_access` raises if the principal, as loaded again
    after the call, may not see the result any more: the role may have changed meanwhile, or the object may have
    been moved to a domain that the principal cannot see. `store` saves the result.
    """

    run: Callable[[], ResultT]
    recheck_access: Callable[[Principal], object]
    store: Callable[[ResultT], None] = _nothing

    def finish(self, by: Principal, result: ResultT) -> ResultT:
        """Call `recheck_access` and `store`, inside the org's scope. Returns the result."""
        self.recheck_access(by)
        self.store(result)
        return result
