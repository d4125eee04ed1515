"""The log of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from apps.alerts.channels import add_single
from apps.alerts.exceptions import IncidentOpen, StillPending
from apps.alerts.kinds.registry import KINDS
from apps.alerts.models import Channel, Delivery, DeliveryKind, DeliveryState
from apps.alerts.payloads import Event
from apps.alerts.rules import hidden_kinds
from apps.alerts.sending import incidents
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet, Rows


class DeliveryColumns(TypedDict):
    id: UUID
    channel_id: UUID
    channel__name: str
    channel__timing: JsonObject
    urgent: bool
    event_id: UUID
    message_id: UUID | None
    kind: str
    payload: Event
    state: str
    attempts: int
    next_attempt_at: datetime
    answer_status: int | None
    answer: str
    problem: str
    created_at: datetime
    sent_at: datetime | None


class LastDelivery(TypedDict):
    id: UUID
    state: str
    answer_status: int | None
    problem: str
    created_at: datetime
    sent_at: datetime | None


def deliveries(org: Org, by: Principal) -> OrgQuerySet[Delivery]:
    """Return the deliveries that the principal can see. An API key for one domain sees those about its pipelines."""
    rows = Delivery.objects.for_org(org)
    if hidden := hidden_kinds(by):
        rows = rows.filter(Q(payload__rule=None) | ~Q(payload__rule__kind__in=hidden))
    return rows if by.only_domain is None else rows.filter(pipeline__domain_id=by.only_domain)


def find_delivery(*, org: Org, by: Principal, delivery_id: UUID) -> Delivery:
    """Return the delivery. Raises NotFound."""
    return find_object(deliveries(org, by), delivery_id)


def last_deliveries(org: Org, channel_ids: Sequence[UUID]) -> dict[UUID, LastDelivery]:
    """Return the newest delivery of each channel that has one, by two queries."""
    newest = Delivery.objects.for_org(org).filter(channel=OuterRef("pk"))
    channels = Channel.objects.for_org(org).filter(pk__in=channel_ids)
    found = channels.annotate(
        last_id=Subquery(newest.order_by("-created_at", "-id").values("pk")[:1])
    )
    channel_by_delivery = dict(found.values_list("last_id", "pk"))
    rows = Delivery.objects.for_org(org).filter(pk__in=channel_by_delivery)
    return {channel_by_delivery[row["id"]]: row for row in rows.columns(LastDelivery)}


def matching(
    rows: OrgQuerySet[Delivery],
    *,
    channel: UUID | None = None,
    pipeline: UUID | None = None,
    state: str = "",
) -> Rows[Delivery, DeliveryColumns]:
    """Filter by the arguments that are set, and return rows for a list."""
    if channel:
        rows = rows.filter(channel_id=channel)
    if pipeline:
        rows = rows.filter(pipeline_id=pipeline)
    if state:
        rows = rows.filter(state=state)
    return rows.columns(DeliveryColumns)


def replay(*, org: Org, by: Principal, delivery_id: UUID) -> Delivery:
    """Send the event again, with the same event id, and return the new delivery.

    Raises NotFound, StillPending, IncidentOpen and ChannelDisabled.
    """
    delivery = find_object(
        deliveries(org, by).select_related("channel", "pipeline"), delivery_id, lock=True
    )
    domain_id = delivery.pipeline.domain_id if delivery.pipeline else None
    by.require(Permission.ALERTS_EDIT, domain_id=domain_id)
    if delivery.state == DeliveryState.PENDING:
        raise StillPending
    channel: Channel = delivery.channel
    is_recovery = delivery.kind == DeliveryKind.CLOSED
    if is_recovery and KINDS[channel.kind].opens_incidents and incidents.is_open(delivery):
        raise IncidentOpen
    copy = add_single(
        channel,
        delivery.kind,
        delivery.payload,
        alert_id=delivery.alert_id,
        pipeline_id=delivery.pipeline_id,
    )
    audit.record(
        org=org,
        by=by,
        action="alert_delivery.replay",
        object_kind="alert_delivery",
        object_id=copy.pk,
        object_label=channel.name,
    )
    return copy
