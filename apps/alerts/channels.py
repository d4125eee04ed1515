"""Channels: create, change, delete and test them. They belong to the whole org.

Whoever changes a channel decides who reads its messages. So a channel may be changed only by who may see all rules that use it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypedDict
from uuid import UUID

from apps.alerts import payloads
from apps.alerts.exceptions import (
    ChannelDisabled,
    ChannelNameTaken,
    ChannelOfHiddenRule,
    TooManyChannels,
)
from apps.alerts.kinds.registry import KINDS, SETTINGS
from apps.alerts.models import Channel, Delivery, DeliveryKind, RuleChannel
from apps.alerts.rule_kinds.registry import RULE_KINDS
from apps.alerts.rules import hidden_kinds
from apps.alerts.sending import queue, timing
from apps.alerts.sending.delivering import fail_pending
from apps.alerts.sending.timing import TimingKind
from apps.auth.constraints import refused_as
from apps.auth.models import new_id
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.tenancy import OrgQuerySet
from apps.orgs.versions import Match, require_match

MAX_CHANNELS = 50  # of one org


class ChannelChanges(TypedDict, total=False):
    """Changes of a channel. A value that is left out does not change."""

    name: str
    settings: JsonObject
    timing: JsonObject
    enabled: bool


def channels(org: Org, by: Principal) -> OrgQuerySet[Channel]:
    """Return the channels that the principal can see. An API key for one domain sees none."""
    rows = Channel.objects.for_org(org)
    return rows.none() if by.only_domain else rows


def find_channel(*, org: Org, by: Principal, channel_id: UUID) -> Channel:
    """Return the channel. Raises NotFound."""
    return find_object(channels(org, by), channel_id)


def fixed_ids(org: Org, by: Principal, channel_ids: Collection[UUID]) -> set[UUID]:
    """Return those of the channels that the principal may not change, because a rule that they cannot see uses them."""
    links = RuleChannel.objects.for_org(org).filter(channel__in=channel_ids)
    return set(links.filter(rule__kind__in=hidden_kinds(by)).values_list("channel_id", flat=True))


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    kind: str,
    settings: JsonObject,
    timing: JsonObject | None = None,  # None: at once
    enabled: bool = True,
) -> Channel:
    """Create a channel. Raises Invalid, ChannelNameTaken and TooManyChannels."""
    by.require(Permission.ALERTS_EDIT)
    # The org is locked, so that two requests cannot both create the last channel.
    Org.objects.select_for_update(no_key=True).get(pk=org.pk)
    if Channel.objects.for_org(org).count() >= MAX_CHANNELS:
        raise TooManyChannels
    channel = Channel(org=org, name=name, kind=kind, enabled=enabled, created_by_id=by.user_id)
    values: ChannelChanges = {"settings": settings}
    if timing is not None:
        values["timing"] = timing
    return _save(org, by, "alert_channel.create", channel, values)


def update(
    *, org: Org, by: Principal, channel_id: UUID, changes: ChannelChanges, match: Match = None
) -> Channel:
    """Change a channel. Raises NotFound, ChannelOfHiddenRule, ChangedMeanwhile, Invalid and ChannelNameTaken."""
    channel = _lock(org, by, channel_id, match)
    _require_visible_rules(org, by, channel)
    channel.etag += 1
    return _save(org, by, "alert_channel.update", channel, changes)


def delete(*, org: Org, by: Principal, channel_id: UUID, match: Match = None) -> None:
    """Delete a channel with its deliveries. Rules no longer use it.

    Raises NotFound, ChannelOfHiddenRule and ChangedMeanwhile.
    """
    channel = _lock(org, by, channel_id, match)
    _require_visible_rules(org, by, channel)
    _record(org, by, "alert_channel.delete", channel, {})
    channel.delete()


def test(*, org: Org, by: Principal, channel_id: UUID) -> Delivery:
    """Send a test message soon, and return its delivery. Raises NotFound and ChannelDisabled."""
    channel = _lock(org, by, channel_id)
    event = payloads.test_event()
    _record(org, by, "alert_channel.test", channel, {})
    return add_single(channel, DeliveryKind.TEST, event)


def add_single(channel: Channel, kind: str, event: payloads.Event, **columns: Any) -> Delivery:
    """Store a delivery that is sent soon in a message of its own. Raises ChannelDisabled."""
    if not channel.enabled:
        raise ChannelDisabled
    delivery = Delivery.unscoped.create(
        org_id=channel.org_id,
        channel=channel,
        event_id=UUID(event["id"]),
        kind=kind,
        payload=event,
        message_id=new_id(),
        **columns,
    )
    queue.deliver_soon(org_id=channel.org_id, channel_ids=[channel.pk])
    return delivery


def _lock(org: Org, by: Principal, channel_id: UUID, match: Match = None) -> Channel:
    channel = find_object(channels(org, by), channel_id, lock=True)
    by.require(Permission.ALERTS_EDIT)
    require_match(match, channel.etag)
    return channel


def _require_visible_rules(org: Org, by: Principal, channel: Channel) -> None:
    """Raise ChannelOfHiddenRule if the principal lacks the permission to see a rule that uses the channel."""
    links = RuleChannel.objects.for_org(org).filter(channel=channel)
    for kind in links.values_list("rule__kind", flat=True):
        permission = RULE_KINDS[kind].permission
        if permission is not None and not by.may(permission):
            raise ChannelOfHiddenRule(permission)


def _save(
    org: Org, by: Principal, action: str, channel: Channel, changes: ChannelChanges
) -> Channel:
    audited: dict[str, Any] = {}
    if "settings" in changes:
        audited |= SETTINGS.store(org, channel, changes["settings"])
    if "timing" in changes and changes["timing"] != channel.timing:
        audited["timing"] = [channel.timing, changes["timing"]]
        _set_timing(channel, changes["timing"])
    if "name" in changes and changes["name"] != channel.name:
        audited["name"] = [channel.name, changes["name"]]
        channel.name = changes["name"]
    if "enabled" in changes and changes["enabled"] != channel.enabled:
        audited["enabled"] = [channel.enabled, changes["enabled"]]
        _set_enabled(channel, changes["enabled"])
    with refused_as(ChannelNameTaken, "alerts_channel_name"):
        channel.save()
    _record(org, by, action, channel, audited)
    return channel


def _set_timing(channel: Channel, wanted: JsonObject) -> None:
    """Set when the channel sends. What waits is looked at again. Raises Invalid."""
    found = [(f"timing.{name}", text, code) for name, text, code in timing.errors(wanted)]
    if not found and wanted["kind"] == TimingKind.DIGEST and KINDS[channel.kind].opens_incidents:
        message = "Channels of this kind open incidents, so they have no digest."
        found = [("timing.kind", message, "invalid")]
    if found:
        raise Invalid(found)
    channel.timing, channel.held_until = wanted, None


def _set_enabled(channel: Channel, enabled: bool) -> None:
    channel.enabled = enabled
    if enabled:
        channel.failing_since, channel.disabled_reason = None, ""
    else:
        fail_pending(channel, "The channel was disabled.")


def _record(
    org: Org, by: Principal, action: str, channel: Channel, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="alert_channel",
        object_id=channel.pk,
        object_label=channel.name,
        changes=changes,
    )
