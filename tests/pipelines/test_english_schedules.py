"""Schedules in English: what is understood, and that it is the inverse of the description in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.pipelines.schedules import cron, words
from apps.pipelines.schedules.english import (
    ScheduleNotUnderstood,
    find_schedule,
    parse_words,
)
from apps.pipelines.schedules.plans import Plan
from apps.pipelines.schedules.times import MAX_INTERVAL, MIN_INTERVAL, time_zone_names
from tests.pipelines.test_schedules import PlannedSchedule, cron_fields

UNDERSTOOD: dict[str, int | str | None] = {
    "every 6 hours": 21_600,
    "Every six hours.": 21_600,
    "every 6h": 21_600,
    "every 15 minutes": 900,
    "every hour": 3_600,
    "hourly": 3_600,
    "every half hour": 1_800,
    "every quarter of an hour": 900,
    "every day": 86_400,
    "daily": 86_400,
    "every other day": 172_800,
    "every 2 weeks": 1_209_600,
    "weekly": 604_800,
    "once a day": 86_400,
    "twice a day": 43_200,
    "4 times a day": 21_600,
    "6 times per hour": 600,
    "daily at 6": "0 6 * * *",
    "every day at 6pm": "0 18 * * *",
    "daily at 12 am": "0 0 * * *",
    "at 6:30 every day": "30 6 * * *",
    "at 6": "0 6 * * *",
    "7:15": "15 7 * * *",
    "every morning": "0 6 * * *",
    "every morning at 7": "0 7 * * *",
    "nightly": "0 2 * * *",
    "every night at 3:30": "30 3 * * *",
    "daily at noon": "0 12 * * *",
    "at midnight": "0 0 * * *",
    "daily at 6 and 18": "0 6,18 * * *",
    "daily at 6:00 and at 18:00": "0 6,18 * * *",
    "every monday": "0 0 * * 1",
    "on Mondays at 7": "0 7 * * 1",
    "every Monday and Thursday at 9:05": "5 9 * * 1,4",
    "mondays, wednesdays and fridays at 8": "0 8 * * 1,3,5",
    "monday to friday at 5:00": "0 5 * * 1-5",
    "weekdays": "0 0 * * 1-5",
    "every weekday at 7:30": "30 7 * * 1-5",
    "at 7:30 on weekdays": "30 7 * * 1-5",
    "weekends at 10": "0 10 * * 0,6",
    "weekly on friday at 17:45": "45 17 * * 5",
    "weekly at 4": "0 4 * * 1",
    "monthly": "0 0 1 * *",
    "every month on the 15th at 4": "0 4 15 * *",
    "on the 1st and 15th of the month": "0 0 1,15 * *",
    "hourly at minute 5": "5 * * * *",
    "every 6 hours at minute 10": "10 */6 * * *",
    "cron 0 6 * * 1-5": "0 6 * * 1-5",
    "*/10 8-18 * * mon-fri": "*/10 8-18 * * mon-fri",
    "weekdays at 7:30 in Berlin": "30 7 * * 1-5 Europe/Berlin",
    "daily at 6 New York time": "0 6 * * * America/New_York",
    "daily at 6 (Europe/Paris)": "0 6 * * * Europe/Paris",
    "daily at 6 UTC": "0 6 * * * UTC",
    "daily in Tokyo at 6": "0 6 * * * Asia/Tokyo",
    "cron 0 6 * * * in Europe/Madrid": "0 6 * * * Europe/Madrid",
    "by hand": None,
    "manually": None,
    "without a schedule": None,
}  # fmt: skip
REFUSED = (
    "every 5 seconds", "every 0 hours", "every 400 days", "daily at 25", "daily at 6:75", "every blue moon", "every 2 days at 6",
    "every 6 hours at 7:00", "daily at 6:00 and 7:30", "0 6 30 2 *", "every 3 months", "7 times a day",
    "cron 99 * * * *", "every 5 hours at minute 3", "tomorrow", "", "flights",
)  # fmt: skip


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_english_is_understood(text: str) -> None:
    expected = UNDERSTOOD[text]
    plan = parse_words(text)
    if expected is None:
        assert plan is None
    elif isinstance(expected, int):
        assert plan == Plan(interval_seconds=expected)
    else:
        parts = [*expected.split(), "UTC"]
        assert plan == Plan(cron=" ".join(parts[:5]), timezone=parts[5])


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_refused_with_examples_or_a_reason(text: str) -> None:
    with pytest.raises(ScheduleNotUnderstood) as refused:
        parse_words(text)
    assert len(str(refused.value)) > 20


def test_a_schedule_is_found_in_a_sentence() -> None:
    text = "Copy orders from Shop to Warehouse every weekday at 7:30 in Berlin, please"
    found = find_schedule(text)
    assert found is not None
    assert text[found.start : found.end] == "every weekday at 7:30 in Berlin"
    assert find_schedule('Copy "daily" from Shop to Warehouse') is None
    assert find_schedule("list all pipelines") is None


@given(st.integers(MIN_INTERVAL, MAX_INTERVAL))
def test_each_described_interval_is_understood(seconds: int) -> None:
    assert parse_words(words.describe(PlannedSchedule(interval_seconds=seconds))) == Plan(
        interval_seconds=seconds
    )


@st.composite
def valid_crons(draw: st.DrawFn) -> str:
    """Return cron expressions, often such as those that have a description in words."""
    limits = ((0, 59), (0, 23), (1, 28), (1, 12), (0, 7))
    shapes = draw(st.sampled_from(["m****", "mh***", "mh**w", "mhd**", "s****", "ms***", "fffff"]))
    fields = []
    for shape, (low, high) in zip(shapes, limits, strict=True):
        number, step = str(draw(st.integers(low, high))), f"*/{draw(st.integers(1, 70))}"
        any_field = draw(cron_fields(low, high)) if shape == "f" else ""
        fields.append({"*": "*", "s": step, "f": any_field}.get(shape, number))
    return " ".join(fields)


@settings(max_examples=400)
@given(valid_crons(), st.sampled_from(sorted(time_zone_names())))
def test_each_described_cron_expression_is_understood(text: str, zone: str) -> None:
    plan = parse_words(words.describe(PlannedSchedule(cron=text, timezone=zone)))
    assert plan is not None
    assert cron.parse(plan.cron) == cron.parse(text)
    assert plan.timezone == zone


@given(st.text(max_size=300))
def test_any_text_is_either_understood_or_refused(text: str) -> None:
    find_schedule(text)
