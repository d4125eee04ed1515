"""Moments that have a local time, also when clocks change. All moments are in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def local_time_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return what a clock on the wall shows, without an offset."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def all_moments(local_time: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return all moments with this local time: none in a gap, two when clocks are set back."""
    moments = {local_time.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(moment for moment in moments if local_time_of(moment, zone) == local_time)


def first_moment(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment with this local time, or the end of the gap that skips it."""
    moments = all_moments(local_time, zone)
    return moments[0] if moments else end_of_gap(local_time, zone)


def last_moment(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the last moment with this local time, or the end of the gap that skips it."""
    moments = all_moments(local_time, zone)
    return moments[-1] if moments else end_of_gap(local_time, zone)


def moment_after(local_time: datetime, zone: ZoneInfo, *, after: datetime) -> datetime:
    """Return the first moment after `after` with this local time, or the end of the gap that skips it."""
    later = (moment for moment in all_moments(local_time, zone) if moment > after)
    return next(later, None) or end_of_gap(local_time, zone)


def end_of_gap(local_time: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment at which clocks jump over `local_time`."""
    late = local_time.replace(tzinfo=zone, fold=0).astimezone(UTC)  # after the jump
    early = local_time.replace(tzinfo=zone, fold=1).astimezone(UTC)  # before the jump
    return moment_of_change(early, late, zone)


def moment_of_change(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second with the offset of `late`. Search by bisection; the offset changes once between the two."""
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
