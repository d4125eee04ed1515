"""The public page as HTML without scripts, and the page that says why it cannot be shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone

from apps.alerts.freshness_pages import words
from apps.alerts.freshness_pages.contents import Contents

CONTENT_SECURITY_POLICY = "; ".join(
    (
        *("default-src 'none'", "style-src 'self'", "img-src 'self'", "base-uri 'none'"),
        *("form-action 'none'", "frame-ancestors 'none'"),
    )
)


def render_page(contents: Contents) -> str:
    now = timezone.now().replace(second=0, microsecond=0)  # the page changes once a minute at most
    return render_to_string(
        "freshness_page.html",
        {
            "contents": contents,
            "headline": words.headline_of(contents),
            "now": _time(now, now),
            "pipelines": [
                {
                    "name": pipeline.name,
                    "freshness": pipeline.freshness,
                    "words": words.state_of(pipeline),
                    "updated": _time(pipeline.updated_at, now),
                }
                for pipeline in contents.pipelines
            ],
            "incidents": [
                {
                    "name": incident.pipeline_name,
                    "words": words.INCIDENTS[incident.kind],
                    "opened": _time(incident.opened_at, now),
                    "closed": _time(incident.closed_at, now),
                    "duration": words.duration_of(incident, now),
                }
                for incident in contents.incidents
            ],
        },
    )


def render_error(title: str, detail: str) -> str:
    return render_to_string("error.html", {"title": title, "detail": detail})


def _time(at: datetime | None, now: datetime) -> dict[str, Any] | None:
    """Return a time for machines, for people, and relative to now."""
    if at is None:
        return None
    utc = at.astimezone(UTC)
    return {
        "machine": f"{utc:%Y-%m-%dT%H:%M:%SZ}",
        "utc": f"{utc.day} {utc:%B %Y, %H:%M} UTC",
        "ago": words.ago(at, now),
    }
