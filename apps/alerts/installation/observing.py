"""Remember which parts of the installation do not work, and decide what the operators are told.

A problem is told once when it has lasted for OPERATOR_PATIENCE, and once when it is over. So a restart, an upgrade or a short
disturbance is not told. Many web processes look, but one at a time writes what they have seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from apps.alerts.installation import messages, routes
from apps.alerts.models import InstallationProblem, OperatorMessage
from apps.background.health import Finding

logger = structlog.get_logger(__name__)

LOCK = 0x6F706572  # of the transaction that writes; "oper" in ASCII
# A problem of a machine that no process has looked at for this time is over: the machine was replaced.
GONE_AFTER = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a check has found. `place` is the machine, or empty if it is about the whole installation."""

    place: str
    finding: Finding


def observe(observations: Iterable[Observation]) -> None:
    """Store what was seen, and the messages that operators get. Does nothing while another process does it."""
    seen = list(observations)
    with transaction.atomic(), connection.cursor() as cursor:
        # The clock of the database, because the machines of web processes may have different ones.
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s), clock_timestamp()", [LOCK])
        is_locked, now = cursor.fetchone()
        if is_locked:
            for observation in seen:
                _note(observation, now)
            _end_what_nobody_sees(now)
            _tell(now)


def _note(observation: Observation, now: datetime) -> None:
    finding, place = observation.finding, observation.place
    problems = InstallationProblem.objects.filter(part=finding.part, place=place)
    problem = problems.first()
    if not finding.ok:
        begun = now if problem is None else min(problem.began_at, now)  # a clock may be set back
        InstallationProblem.objects.update_or_create(
            part=finding.part,
            place=place,
            defaults={
                "seen": finding.seen[:300],
                "next_step": finding.next_step[:500],
                "began_at": begun,
                "seen_at": now,
                "ended_at": None,
            },
        )
    elif problem is not None:
        _end(problem, now)


def _end(problem: InstallationProblem, now: datetime) -> None:
    """Remember when the problem has ended, or forget it if nobody was told."""
    if problem.told_at is None:
        problem.delete()
    elif problem.ended_at is None:
        problem.ended_at = now
        problem.save(update_fields=["ended_at"])


def _end_what_nobody_sees(now: datetime) -> None:
    for problem in InstallationProblem.objects.filter(seen_at__lt=now - GONE_AFTER):
        _end(problem, now)


def _tell(now: datetime) -> None:
    """Store one message about all changes for each route."""
    patience = timedelta(seconds=settings.OPERATOR_PATIENCE)
    began = list(
        InstallationProblem.objects.filter(
            told_at=None, seen_at__gte=F("began_at") + patience
        ).order_by("part", "place")
    )
    ended = list(
        InstallationProblem.objects.filter(ended_at__isnull=False).order_by("part", "place")
    )
    if not began and not ended:
        return
    for problem in began:
        logger.warning("installation", part=problem.part, place=problem.place, seen=problem.seen)
    for problem in ended:
        logger.info("installation recovered", part=problem.part, place=problem.place)
    message = messages.message(began=began, ended=ended, at=now)
    OperatorMessage.objects.bulk_create(
        OperatorMessage(route=route, payload=message, created_at=now, next_attempt_at=now)
        for route in routes.active()
    )
    InstallationProblem.objects.filter(pk__in=[each.pk for each in began]).update(told_at=now)
    InstallationProblem.objects.filter(pk__in=[each.pk for each in ended]).delete()
