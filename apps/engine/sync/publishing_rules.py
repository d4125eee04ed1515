"""Check a result before it is published: it must not remove rows without cause, and few records may be rejected."""

from __future__ import annotations

from collections.abc import Callable

from apps.engine.contract import DestinationSpec, PublishRules, RunSpec
from apps.engine.destinations.base import Destination
from apps.engine.failures import (
    REMOVES_ALL_ROWS,
    RESET_STREAM,
    TOO_MANY_REJECTED,
    ConfigurationError,
    ContractError,
)
from apps.engine.frames.left_out import LeftOutRecord, without_value
from apps.engine.sync.jobs import Job


def would_fail_again(rules: PublishRules, job: Job, target: DestinationSpec) -> bool:
    """Whether an attempt that only publishes the staged rows would probably fail. It has to read the source again."""
    read = job.written + job.rejected + job.skipped
    only_removes_rows = not job.written and (job.replaces or target.removes_rows)
    return only_removes_rows or _rejected_share(job.rejected, read) > rules.max_rejected_share


def require_few_rejected(
    rules: PublishRules, *, rejected: int, read: int, first: LeftOutRecord | None
) -> None:
    """Raise ContractError if the share of rejected records is greater than allowed."""
    share = _rejected_share(rejected, read)
    if share <= rules.max_rejected_share:
        return
    reason = f" The first: {without_value(first.reason)} ({first.position})." if first else ""
    raise ContractError(
        f"{rejected:,} of {read:,} {TOO_MANY_REJECTED}, which is {_percent(share)}; this pipeline allows"
        f" {_percent(rules.max_rejected_share)}.{reason}",
        evidence=("nothing was published; the page of the run shows the records",),
    )


def require_table(destination: Destination, job: Job, spec: RunSpec) -> None:
    """Raise ConfigurationError if the job would add new records to a table that has lost all earlier ones."""
    adds_rows = spec.destination.write_mode != "replace" and not job.is_finished
    continues = adds_rows and (job.since is not None or spec.replay is not None)
    if continues and destination.has_lost_table():
        raise ConfigurationError(
            f"The table of the destination is gone: {RESET_STREAM}, so that it is read from the beginning"
        )


def require_rows(rules: PublishRules, destination: Destination, *, written: int) -> None:
    """Raise ContractError if a result without rows would replace rows, and this is not allowed."""
    if written or rules.allow_empty or not destination.spec.removes_rows:
        return
    if destination.has_rows():
        part = " in the window" if destination.spec.window else ""
        raise ContractError(
            f"The run has no rows to write, and publishing {REMOVES_ALL_ROWS} of {destination.spec.table}{part}.",
            evidence=("nothing was published; the destination keeps its rows",),
        )


def _rejected_share(rejected: int, read: int) -> float:
    return rejected / read if rejected else 0.0


def _percent(share: float) -> str:
    """Return the share as a percentage that is never rounded to zero, such as 0.0003%."""
    return f"{share * 100:.3g}%"


def require_same_table(
    job_elsewhere: str | None, has_published_here: Callable[[str], bool]
) -> None:
    """Raise ConfigurationError if the next ordinary run of the stream will fill the table from the beginning.

    `job_elsewhere` is the newest job of the stream if it has published to another place, perhaps by another name.
    """
    if job_elsewhere is not None and not has_published_here(job_elsewhere):
        raise ConfigurationError(
            f"The stream has another table now: {RESET_STREAM}, which reads the rejected records too"
        )
