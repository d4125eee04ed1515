"""Calls to slow systems, which must be made outside every transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apps.orgs.principals import Principal

ResultT = TypeVar("ResultT")


def _store_nothing(result: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SlowCall(Generic[ResultT]):
    """A call to a slow system that the principal is allowed to make. An action returns it, and a view runs it later.

    `run` makes the call, outside every transaction. The principal is loaded again after the call. `recheck_access`
    raises an exception if this principal may not see the result, for example because its role has changed or because
    the object was moved to another domain. `store` saves the result.
    """

    run: Callable[[], ResultT]
    recheck_access: Callable[[Principal], object]
    store: Callable[[ResultT], None] = _store_nothing

    def finish(self, by: Principal, result: ResultT) -> ResultT:
        """Call `recheck_access` and `store`, inside the org's scope. Returns the result."""
        self.recheck_access(by)
        self.store(result)
        return result
