"""What needs a person's attention, with its cause and with what fixes it, the most urgent first.

Other apps add their own items, such as requests for an approval, with `add_provider`. Each provider makes a constant number
of queries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from apps.orgs.models import Org
from apps.orgs.principals import Principal

MAX_PER_KIND = 20
MAX_READ = MAX_PER_KIND + 1  # a provider reads one item more, to find out whether there are more

# The most urgent first.
Kind = Literal[
    "failing", "limit_reached", "late", "connector", "approval", "changes", "streams", "limit_near"
]
KINDS: tuple[Kind, ...] = get_args(Kind)

Action = Literal[
    "retry",  # the run
    "run",  # the pipeline
    "open_run",
    "open_connector",
    "open_pipeline",
    "open_configuration",  # of the pipeline
    "reset_stream",  # on the state page of the pipeline
    "decide",  # about changes or streams, on the pipeline's page
    "open_usage",
    "open_request",
    "open_conversation",
]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class Fix:
    """What a person can do about an item. `id` is of the run, pipeline, connector, request or conversation."""

    action: Action
    id: UUID | None = None
    name: str = ""  # the role and the name of a connector


@dataclass(frozen=True, slots=True)
class Item:
    """Something that needs attention. `name` is what it is about, such as the name of the pipeline."""

    kind: Kind
    id: UUID | str  # unique within the kind
    name: str
    cause: str
    fixes: Sequence[Fix]  # the best one first
    since: datetime | None = None
    pipeline_id: UUID | None = None
    run_id: UUID | None = None
    failure_class: str = ""
    retrying: bool = False  # whether a run is waiting or running again


Provider = Callable[[Org, Principal], list[Item]]
_providers: list[Provider] = []


def add_provider(provider: Provider) -> None:
    """Let an app add its items. A provider returns at most MAX_READ items of each kind, the most urgent first."""
    if provider not in _providers:
        _providers.append(provider)


def find_items(org: Org, by: Principal) -> tuple[list[Item], bool]:
    """Return what needs attention, and whether there is more of a kind than MAX_PER_KIND."""
    found = [item for provider in _providers for item in provider(org, by)]
    items: list[Item] = []
    has_more = False
    for kind in KINDS:
        of_kind = sorted((item for item in found if item.kind == kind), key=_newest_first)
        items += of_kind[:MAX_PER_KIND]
        has_more = has_more or len(of_kind) > MAX_PER_KIND
    return items, has_more


def _newest_first(item: Item) -> tuple[float, str]:
    return -item.since.timestamp() if item.since else 0.0, str(item.id)
