"""An org's own rules about who gets in, and what it may do while it is suspended or about to be deleted.

Asked on every request, after the credential was found good. A rule shuts the org, not the account: the person
can still see why, set up a second factor, or work in another org.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import StrEnum

from apps.orgs.exceptions import OrgClosed, OrgReadOnly
from apps.orgs.models import Org
from apps.orgs.roles import Role


class Closed(StrEnum):
    """Why a member does not get in now."""

    NETWORK = "network_not_allowed"
    SSO = "sso_required"
    SECOND_FACTOR = "second_factor_required"


def closed(
    org: Org, *, role: Role, session: bool, by_sso: bool, second_factor: bool, ip: str | None
) -> Closed | None:
    """The first rule of this org that shuts it to someone, or None.

    `session` is False for API keys: of the rules only the networks hold for them.
    """
    if org.networks and not within(ip, org.networks):
        return Closed.NETWORK
    if not session:
        return None
    if org.require_sso and not by_sso and role is not Role.OWNER:
        return Closed.SSO
    if org.require_second_factor and not second_factor and not by_sso:
        return Closed.SECOND_FACTOR  # by SSO it is the issuer's business
    return None


def refuse_closed(reason: Closed | None) -> None:
    """Raise OrgClosed when there is a reason."""
    if reason is not None:
        raise OrgClosed(reason.value, MESSAGES[reason])


def refuse_changes(org: Org) -> None:
    """Raise OrgReadOnly while the org is suspended or waits for its deletion."""
    if org.suspended_at is not None:
        message = "This organization is suspended: nothing can be changed or run."
        raise OrgReadOnly("org_suspended", f"{message} {org.suspended_because}".strip())
    if org.deletion_at is not None:
        when = f"{org.deletion_at:%Y-%m-%d %H:%M} UTC"
        message = (
            f"This organization will be deleted on {when}; an owner can restore it until then."
        )
        raise OrgReadOnly("org_deleting", message)


def within(ip: str | None, networks: Sequence[str]) -> bool:
    """Whether an address lies in one of these CIDR blocks; an unknown address lies in none."""
    if not ip:
        return False
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network) for network in networks)


MESSAGES = {
    Closed.NETWORK: "This organization does not accept requests from your address.",
    Closed.SSO: "This organization asks its members to log in through its own identity provider.",
    Closed.SECOND_FACTOR: "This organization asks its members for a second factor: set one up, or log in with it.",
}
