"""E-mail to chosen addresses, or to the owners of the organization.

The addresses belong to members, or are in an e-mail domain that the organization has verified. So nobody can use an
organization to send mails to strangers.
"""

from __future__ import annotations

from smtplib import SMTPException, SMTPResponseException
from typing import Any, cast

from rest_framework import serializers

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.payloads import Message, page_address
from apps.auth.mailing import mail
from apps.connectors.schemas import Error, Pattern
from apps.json import JsonObject
from apps.orgs.http.texts import AsciiEmailField
from apps.orgs.members.verified_domains import is_in_verified_domain
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
        label="Addresses",
        help_text="Addresses of members, or in a verified e-mail domain of the organization. Empty: its owners.",
    )


def check(settings: JsonObject, org: Org) -> list[Error]:
    """Return an error for each address to which the organization may not send."""
    addresses = cast("list[str]", settings["to"])
    allowed = _allowed(org, addresses)
    message = (
        "Enter the address of a member, or one in a verified e-mail domain of the organization."
    )
    return [
        (f"to.{index}", message, "stranger")
        for index, address in enumerate(addresses)
        if address not in allowed
    ]


def send(message: Message, settings: JsonObject, org: Org) -> Answer:
    """Send one mail to all addresses. They see each other, as the members of the organization do."""
    chosen = cast("list[str]", settings["to"])
    recipients = _allowed(org, chosen) if chosen else owner_addresses(org)
    if not recipients:
        return Answer(
            "No address belongs to a member, or to a verified e-mail domain."
            if chosen
            else "No owner has an address."
        )
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


def _allowed(org: Org, addresses: list[str]) -> list[str]:
    """Return those of the addresses to which the organization may send now."""
    with org_scope(org.pk):
        members = Membership.objects.for_org(org).filter(user__is_active=True)
        known = set(members.filter(user__email__in=addresses).values_list("user__email", flat=True))
        return [each for each in addresses if each in known or is_in_verified_domain(org, each)]


def _context(message: Message) -> dict[str, Any]:
    page = words.page(message)
    return {
        "title": words.title(message, quote=mail.quote_name),
        "organization": mail.quote_name(message["organization"]["name"]),
        "events": [
            " ".join(lines)
            for _, lines in words.events_with_lines(
                message, quote=mail.quote_name, plain=mail.unlinked_text
            )
        ],
        "more": words.more(message),
        "link": page[1] if page else page_address("alerts/deliveries"),
    }
