"""What PagerDuty and Opsgenie open and close: an incident about one alert, or about the alerts of a burst.

`sender` makes the function `send` of such a kind. All requests about an incident have the same key, so one that arrives twice
does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.models import DeliveryKind
from apps.alerts.payloads import Message, page_address
from apps.json import JsonObject
from apps.orgs.models import Org

SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class Incident:
    """`title` is one line, `details` are further lines, and `page` is the title and the address of a page of Drover."""

    key: str
    title: str
    details: Sequence[str]
    subject: str  # empty if there are several, and for a test
    kind: str  # of the rule, or "several" or "test"
    at: str
    page: tuple[str, str] | None
    organization: str
    is_test: bool


Request = Callable[[Incident, JsonObject], Answer]


def sender(open_incident: Request, close: Request) -> Callable[[Message, JsonObject, Org], Answer]:
    """Return a function that sends the one request of a message. A test opens an incident and closes it at once."""

    def send(message: Message, settings: JsonObject, org: Org) -> Answer:
        incident = _incident(message)
        if message["events"][0]["kind"] == DeliveryKind.CLOSED:
            return close(incident, settings)
        answer = open_incident(incident, settings)
        return close(incident, settings) if incident.is_test and answer.accepted else answer

    return send


def _incident(message: Message) -> Incident:
    first, rule = message["events"][0], message["events"][0]["rule"]
    is_single = message["count"] == 1
    title, *details = words.event_lines(first) if is_single else _lines_of_several(message)
    kind = "test" if rule is None else rule["kind"]
    return Incident(
        key=message.get("incident_key", first["id"]),
        title=title,
        details=details,
        subject=words.subject(first) if is_single else "",
        kind=kind if is_single else SEVERAL,
        at=first["at"],
        page=words.page(message)
        if is_single
        else ("Open all alerts", page_address("alerts/deliveries")),
        organization=message["organization"]["name"],
        is_test=first["kind"] == DeliveryKind.TEST,
    )


def _lines_of_several(message: Message) -> list[str]:
    if message["events"][0]["kind"] == DeliveryKind.CLOSED:
        return ["All alerts of this incident have recovered."]
    lines = [words.event_lines(event)[0] for event in message["events"]]
    more = words.more(message)
    return [f"{words.title(message)}.", *lines, *([more] if more else [])]
