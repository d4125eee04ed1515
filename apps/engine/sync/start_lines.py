"""The lines of the log with which a sync of a stream begins."""

from __future__ import annotations

from loguru import logger

from apps.engine import destinations, sources
from apps.engine.catalogue import SYNC_MODE_WORDS, WRITE_MODE_WORDS
from apps.engine.contract import RunSpec
from apps.engine.sync.jobs import Job


def log_start(spec: RunSpec, job: Job) -> None:
    source, target = spec.source, spec.destination
    name = source.code.label if source.code else sources.load(source.kind).TITLE
    write_mode = "replace" if job.replaces else target.write_mode
    logger.info(
        "Reading {} from {} ({}), writing to {} in {} ({})",
        *(source.stream, name, SYNC_MODE_WORDS[source.sync_mode]),
        *(target.table, destinations.load(target.kind).TITLE, WRITE_MODE_WORDS[write_mode]),
    )
    if spec.replay is not None:
        logger.info(
            "Sending {:,} rejected records of the run {} again",
            spec.replay.count,
            spec.replay.run_id,
        )
    if job.abandoned_reason:
        logger.info("The unfinished sync is not continued: {}", job.abandoned_reason)
    if not job.resumed:
        logger.info("Starting a new sync")
    elif job.exhausted:
        logger.info("An earlier attempt has read the whole source: publishing the staged data")
    elif not job.next_iteration:
        logger.info("Starting from the beginning: nothing was staged before")
    else:
        logger.info(
            "Continuing at page {} with {:,} records staged", job.next_iteration, job.written
        )
