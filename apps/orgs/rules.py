"""An org's access rules, and its read-only state while it is suspended or scheduled for deletion.

Every request checks the rules after it has checked the credential. A rule denies access to the org only. The user can
still use the account: see the reason, set up a second factor, or work in another org.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from enum import StrEnum

from apps.orgs.exceptions import OrgAccessDenied, OrgReadOnly
from apps.orgs.models import Org
from apps.orgs.roles import Role


class AccessDenial(StrEnum):
    """The rule that denies a member access to the org."""

    NETWORK = "network_not_allowed"
    SSO = "sso_required"
    SECOND_FACTOR = "second_factor_required"


def find_denial(
    org: Org, *, role: Role, has_session: bool, by_sso: bool, second_factor: bool, ip: str | None
) -> AccessDenial | None:
    """Return the first rule of this org that denies access, or None.

    `has_session` is False for API keys. Only the rule about networks applies to them.
    """
    if org.networks and not is_in_networks(ip, org.networks):
        return AccessDenial.NETWORK
    if not has_session:
        return None
    if org.require_sso and not by_sso and role is not Role.OWNER:
        return AccessDenial.SSO
    if org.require_second_factor and not second_factor and not by_sso:
        # With single sign-on, the issuer is responsible for the second factor.
        return AccessDenial.SECOND_FACTOR
    return None


def raise_if_denied(denial: AccessDenial | None) -> None:
    """Raise OrgAccessDenied if a rule denies access."""
    if denial is not None:
        raise OrgAccessDenied(denial.value, DENIAL_MESSAGES[denial])


def require_writable(org: Org) -> None:
    """Raise OrgReadOnly while the org is suspended or scheduled for deletion."""
    if org.suspended_at is not None:
        message = "This organization is suspended: nothing can be changed or run."
        raise OrgReadOnly("org_suspended", f"{message} {org.suspended_because}".strip())
    if org.deletion_at is not None:
        deletion_time = f"{org.deletion_at:%Y-%m-%d %H:%M} UTC"
        message = f"This organization will be deleted on {deletion_time}; an owner can restore it until then."
        raise OrgReadOnly("org_deleting", message)


def is_in_networks(ip: str | None, networks: Sequence[str]) -> bool:
    """Whether the address is in one of these CIDR blocks. An unknown address is in none of them."""
    if not ip:
        return False
    address = ipaddress.ip_address(ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network) for network in networks)


DENIAL_MESSAGES = {
    AccessDenial.NETWORK: "This organization does not accept requests from your address.",
    AccessDenial.SSO: "This organization requires its members to log in with its own identity provider.",
    AccessDenial.SECOND_FACTOR: "This organization requires a second factor: set one up, or log in with it.",
}
