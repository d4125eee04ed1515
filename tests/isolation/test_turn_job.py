"""The job of a turn uses connections of its own, which see only what is committed, so it has a module of its own."""

from __future__ import annotations

from tests.isolation.planted import plant
from tests.isolation.test_jobs import TURN_JOB, check_job


def test_a_turn_of_the_agent_changes_only_what_belongs_to_the_org_of_its_job(
    committed_db: None,
) -> None:
    check_job(TURN_JOB, plant(), plant())
