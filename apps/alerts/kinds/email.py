"""E-mail to chosen addresses, or to the owners of the organization."""

from __future__ import annotations

from smtplib import SMTPException, SMTPResponseException
from typing import Any, cast

from rest_framework import serializers

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.payloads import Message, page_address
from apps.auth.mailing import mail
from apps.connectors.schemas import Pattern
from apps.json import JsonObject
from apps.orgs.http.texts import AsciiEmailField
from apps.orgs.models import Membership, Org
from apps.orgs.roles import Role
from apps.orgs.walls.scope import org_scope

SECRETS: frozenset[Pattern] = frozenset()
MAX_ADDRESSES = 20


class Settings(serializers.Serializer[Any]):
    to = serializers.ListField(
        child=AsciiEmailField(max_length=254),
        max_length=MAX_ADDRESSES,
        default=list,
        help_text="Empty: the owners of the organization.",
    )


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    """Send one mail to all addresses. They see each other, as the members of the organization do."""
    recipients = cast("list[str]", settings["to"]) or owner_addresses(org)
    if not recipients:
        return Answer("No owner has an address.")
    try:
        mail.send(recipients, "alert", **_context(message))
    except SMTPResponseException as error:
        return Answer("The mail server refused the mail.", retryable=error.smtp_code < 500)
    except (SMTPException, OSError):
        return Answer("The mail server could not be reached, or refused the mail.", retryable=True)
    return Answer(text=f"Given to the mail server, for {', '.join(recipients)}.")


def owner_addresses(org: Org) -> list[str]:
    """Return the addresses of the active owners."""
    with org_scope(org.pk):
        owners = Membership.objects.for_org(org).filter(role=Role.OWNER, user__is_active=True)
        return list(owners.order_by("user__email").values_list("user__email", flat=True))


def _context(message: Message) -> dict[str, Any]:
    events = message["events"]
    run = events[0]["run"]
    return {
        "title": words.title(message, quote=mail.quote_name),
        "organization": mail.quote_name(message["organization"]["name"]),
        "events": [_paragraph(event) for event in events],
        "more": words.more(message),
        "link": run["url"] if run and message["count"] == 1 else page_address(""),
    }


def _paragraph(event: Any) -> str:
    return " ".join(words.event_lines(event, quote=mail.quote_name, plain=mail.unlinked_text))
