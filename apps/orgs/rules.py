"""An org's access rules, and restrictions while it is suspended or scheduled for deletion.

Checked on every request after the credential. A rule denies access to the org, not to the account: the user can
still see why, set up a second factor, or work in another org.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import StrEnum

from apps.orgs.exceptions import OrgClosed, OrgReadOnly
from apps.orgs.models import Org
from apps.orgs.roles import Role


class Closed(StrEnum):
    """The reason why a member has no access now."""

    NETWORK = "network_not_allowed"
    SSO = "sso_required"
    SECOND_FACTOR = "second_factor_required"


def closed(
    org: Org, *, role: Role, session: bool, by_sso: bool, second_factor: bool, ip: str | None
) -> Closed | None:
    """Return the first rule of this org that denies access, or None.

    `session` is False for API keys, for which only the rule about networks applies.
    """
    if org.networks and not within(ip, org.networks):
        return Closed.NETWORK
    if not session:
        return None
    if org.require_sso and not by_sso and role is not Role.OWNER:
        return Closed.SSO
    if org.require_second_factor and not second_factor and not by_sso:
        return (
            Closed.SECOND_FACTOR
        )  # With single sign-on, the issuer is responsible for second factors.
    return None


def refuse_closed(reason: Closed | None) -> None:
    """Raise OrgClosed if a rule denies access."""
    if reason is not None:
        raise OrgClosed(reason.value, MESSAGES[reason])


def refuse_changes(org: Org) -> None:
    """Raise OrgReadOnly while the org is suspended or scheduled for deletion."""
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
    """Whether an address is in one of these CIDR blocks; an unknown address is in none."""
    if not ip:
        return False
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network) for network in networks)


MESSAGES = {
    Closed.NETWORK: "This organization does not accept requests from your address.",
    Closed.SSO: "This organization requires its members to log in with its own identity provider.",
    Closed.SECOND_FACTOR: "This organization requires a second factor: set one up, or log in with it.",
}
