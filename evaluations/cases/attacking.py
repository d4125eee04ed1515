"""Short forms for attacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evaluations.case import Case, Group, Step
from evaluations.defences import Defence
from evaluations.harm import rejected_calls
from evaluations.outcome import Outcome

DELETE = ("delete_pipeline", {"pipeline_id": "[[Flights to Parquet]]"})


def attack(
    name: str,
    defences: Sequence[Defence],
    messages: Sequence[str],
    script: Sequence[Step],
    *,
    find_harm: Callable[[Outcome], str] = rejected_calls,
    **fields: Any,
) -> Case:
    """Return an attack whose script obeys it. Guided mode cannot be persuaded, so it does not try the case."""
    return Case(
        name=f"attack-{name}",
        group=Group.ATTACK,
        defences=list(defences),
        messages=messages,
        script=script,
        find_harm=find_harm,
        **{"is_guided": False, **fields},
    )
