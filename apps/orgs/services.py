"""The verbs of orgs: each one transaction, one audit event, side effects on commit."""

from __future__ import annotations

import secrets

from django.utils.text import slugify

from apps.auth.models import User, new_id
from apps.orgs import audit, vault
from apps.orgs.models import Membership, Org
from apps.orgs.principals import Actor
from apps.orgs.roles import Role
from apps.orgs.tenancy import org_scope


def create_org(*, name: str, owner: User, by: Actor) -> Org:
    """A new org with its own data key and its first owner."""
    org_id = new_id()
    slug = f"{slugify(name)[:60] or 'org'}-{secrets.token_hex(3)}"
    with org_scope(org_id):
        org = Org.objects.create(
            id=org_id, name=name, slug=slug, data_key=vault.new_data_key(org_id)
        )
        Membership.unscoped.create(org=org, user=owner, role=Role.OWNER)
        audit.record(
            org=org,
            by=by,
            action="org.create",
            object_kind="org",
            object_id=org.pk,
            object_label=name,
        )
    return org
