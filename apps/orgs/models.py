"""Orgs, their members and domains, keys, and the audit log."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from apps.auth import names
from apps.auth.models import User, new_id
from apps.orgs.queries import (
    ApiKeyManager,
    AuditEventManager,
    DomainManager,
    InvitationManager,
    MembershipManager,
)
from apps.orgs.roles import Role
from apps.orgs.tenancy import OrgOwned


class Org(models.Model):
    """An organization. Its members share its objects, and members of other orgs see none of them."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80, unique=True)
    # The Fernet key of this org, encrypted with the platform's key.
    data_key = models.TextField(editable=False)
    max_running = models.PositiveIntegerField(default=5)  # concurrent runs
    # In this field and in the next three fields, null means no limit.
    max_pipelines = models.PositiveIntegerField(null=True, blank=True)
    max_members = models.PositiveIntegerField(null=True, blank=True)
    max_rows_month = models.PositiveBigIntegerField(null=True, blank=True)
    max_bytes_month = models.PositiveBigIntegerField(null=True, blank=True)
    # Rows older than this number of days are deleted by apps.runs.keeping.retention; null means never.
    keep_logs_days = models.PositiveIntegerField(default=90, null=True, blank=True)
    keep_events_days = models.PositiveIntegerField(default=90, null=True, blank=True)
    keep_runs_days = models.PositiveIntegerField(null=True, blank=True)
    keep_audit_days = models.PositiveIntegerField(default=365, null=True, blank=True)
    require_second_factor = models.BooleanField(default=False)
    # The rule does not apply to owners, so that they can still log in if the issuer fails.
    require_sso = models.BooleanField(default=False)
    # Domains of the addresses that may be invited; empty means every domain.
    email_domains = ArrayField(models.CharField(max_length=253), default=list)
    # CIDR blocks from which requests are allowed; empty means every address.
    networks = ArrayField(models.CharField(max_length=50), default=list)
    suspended_at = models.DateTimeField(null=True, blank=True)  # set by an operator
    suspended_because = models.CharField(max_length=500, blank=True)
    # The org is erased after this time and can be restored before it.
    deletion_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            names.plain_text_check("name", name="orgs_org_name_plain"),
            names.plain_text_check("suspended_because", name="orgs_org_because_plain"),
            models.CheckConstraint(
                condition=models.Q(keep_audit_days__gte=365) | models.Q(keep_audit_days=None),
                name="orgs_org_keeps_audit_a_year",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(OrgOwned):
    """A user in an org, with a role.

    Every request reads it from the database, so that removing a member takes effect at once.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[MembershipManager] = MembershipManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "user"], name="orgs_membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="orgs_membership_role"
            ),
        ]


class Domain(OrgOwned):
    """A named group inside an org to which pipelines and connectors may belong."""

    name = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[DomainManager] = DomainManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="orgs_domain_name"),
            names.plain_text_check("name", name="orgs_domain_name_plain"),
        ]

    def __str__(self) -> str:
        return self.name


class DomainRole(OrgOwned):
    """A higher role of one member for the objects of one domain. It never lowers the member's role."""

    domain = models.ForeignKey(Domain, models.CASCADE, related_name="+", db_constraint=False)
    membership = models.ForeignKey(
        Membership, models.CASCADE, related_name="+", db_constraint=False
    )
    role = models.CharField(max_length=10, choices=Role.choices)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "domain", "membership"], name="orgs_domainrole_once"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[Role.VIEWER, Role.MEMBER, Role.ADMIN]),
                name="orgs_domainrole_role",
            ),
        ]


class Invitation(OrgOwned):
    """An invitation of the owner of an e-mail address to join the org.

    Its link works once, for that address. Only the SHA-256 of the link's secret is stored.
    """

    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=10, choices=Role.choices)
    # The digest is null until the mail is created.
    digest = models.BinaryField(max_length=32, unique=True, null=True)
    invited_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)

    objects: ClassVar[InvitationManager] = InvitationManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "email"],
                condition=models.Q(accepted_at__isnull=True),
                name="orgs_invitation_open_once",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="orgs_invitation_role"
            ),
        ]


class IdentityProvider(OrgOwned):
    """An org's own OpenID Connect issuer. Its claims are trusted inside this org only."""

    issuer = models.CharField(max_length=500)
    client_id = models.CharField(max_length=191)
    sealed = models.TextField()  # the encrypted client secret
    secret_last4 = models.CharField(max_length=4, blank=True)
    # The role of users who were not invited; empty means that they cannot join.
    join_role = models.CharField(max_length=10, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org"], name="orgs_identityprovider_once"),
            models.CheckConstraint(
                condition=models.Q(join_role__in=["", Role.VIEWER, Role.MEMBER]),
                name="orgs_identityprovider_role",
            ),
        ]


class FederatedIdentity(OrgOwned):
    """A subject of the org's issuer and the member that it identifies. Deleted with the membership.

    A session of a login with the issuer shows the issuer's claims, which are stored here. It shows no data of the
    account.
    """

    subject = models.CharField(max_length=191)
    email = models.EmailField(max_length=254, blank=True, db_default="")
    name = models.CharField(max_length=120, blank=True, db_default="")
    membership = models.ForeignKey(
        Membership, models.CASCADE, related_name="+", db_constraint=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "subject"], name="orgs_federated_subject"),
            models.UniqueConstraint(fields=["org", "membership"], name="orgs_federated_member"),
            names.plain_text_check("name", name="orgs_federated_name_plain"),
        ]


class VerifiedDomain(OrgOwned):
    """An e-mail domain of an org, verified by a TXT record or not verified yet.

    At any time, at most one org has verified a domain.
    """

    domain = models.CharField(max_length=253)  # in the form used by DNS
    token = models.CharField(max_length=64)  # the record's value, for this org and domain only
    verified_at = models.DateTimeField(null=True, blank=True)
    # For a verified domain: when the record was first missing, and when the name servers first did not respond.
    missing_since = models.DateTimeField(null=True, blank=True)
    unanswered_since = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["org", "domain"], name="orgs_verifieddomain_once"),
            models.UniqueConstraint(
                fields=["domain"],
                condition=models.Q(verified_at__isnull=False),
                name="orgs_verifieddomain_owner",
            ),
        ]

    def __str__(self) -> str:
        return self.domain


class ScimUser(OrgOwned):
    """A user provisioned by the org's directory.

    SCIM responses contain only data of this row, because other orgs may share the account of the user.
    """

    # The directory chooses `user_name`. `email` identifies the account; it is empty while the address is unknown.
    user_name = models.CharField(max_length=254)
    email = models.EmailField(max_length=254, blank=True, default="", db_default="")
    external_id = models.CharField(max_length=200, blank=True)
    display_name = models.CharField(max_length=200, blank=True)
    active = models.BooleanField(default=True)
    claims = models.JSONField(default=dict, db_default={})  # other attributes, as received
    given = models.CharField(max_length=10, blank=True)  # the last role granted by groups
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta(OrgOwned.Meta):
        verbose_name = "SCIM user"
        constraints = [
            models.UniqueConstraint("org", Upper("user_name"), name="orgs_scimuser_user_name"),
            models.UniqueConstraint(
                fields=["org", "email"],
                condition=~models.Q(email=""),
                name="orgs_scimuser_email",
            ),
            names.plain_text_check("user_name", name="orgs_scimuser_user_plain"),
            names.plain_text_check("display_name", name="orgs_scimuser_name_plain"),
            names.plain_text_check("external_id", name="orgs_scimuser_external_plain"),
        ]


class ScimGroup(OrgOwned):
    """A group of the org's directory. An admin of the org sets its role; the directory cannot."""

    display_name = models.CharField(max_length=200)
    external_id = models.CharField(max_length=200, blank=True)
    # The role in the org that the group grants; empty means none.
    role = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta(OrgOwned.Meta):
        verbose_name = "SCIM group"
        constraints = [
            models.UniqueConstraint(fields=["org", "display_name"], name="orgs_scimgroup_name"),
            names.plain_text_check("display_name", name="orgs_scimgroup_name_plain"),
            names.plain_text_check("external_id", name="orgs_scimgroup_external_plain"),
            models.CheckConstraint(
                condition=models.Q(role__in=["", Role.VIEWER, Role.MEMBER, Role.ADMIN]),
                name="orgs_scimgroup_role",
            ),
        ]


class ScimMembership(OrgOwned):
    """A provisioned user in a group of the directory."""

    group = models.ForeignKey(ScimGroup, models.CASCADE, related_name="+", db_constraint=False)
    user = models.ForeignKey(ScimUser, models.CASCADE, related_name="+", db_constraint=False)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "group", "user"], name="orgs_scimmembership_once"
            )
        ]


class ApiKey(OrgOwned):
    """A credential for programs. Only its prefix, a bcrypt hash and a keyed tag are stored, see `apps.auth.keys`."""

    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=12, unique=True)
    hash = models.CharField(max_length=60)
    tag = models.BinaryField(max_length=8)
    version = models.PositiveIntegerField(default=1)
    role = models.CharField(max_length=10, choices=Role.choices)
    scopes = models.JSONField(default=list)  # permissions; empty means all permissions of the role
    domain = models.ForeignKey(
        Domain, models.CASCADE, related_name="+", null=True, blank=True, db_constraint=False
    )
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[ApiKeyManager] = ApiKeyManager()

    class Meta(OrgOwned.Meta):
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="orgs_apikey_role"
            ),
            names.plain_text_check("name", name="orgs_apikey_name_plain"),
        ]


class SupportAccess(OrgOwned):
    """An operator's access to the rows of this org until a time. The audit log shows its reason to the owners."""

    operator = models.ForeignKey(User, models.CASCADE, related_name="+")
    reason = models.CharField(max_length=500)
    created_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()

    class Meta(OrgOwned.Meta):
        verbose_name_plural = "support accesses"
        constraints = [names.plain_text_check("reason", name="orgs_support_reason_plain")]


class AuditEvent(OrgOwned):
    """One action: its actor, its object and the changes. Secrets are masked.

    The runtime role of the database can add and read events, but not change or delete them.
    """

    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=12)  # user | api_key | system | operator
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=254)
    # {kind, id, name} of the person for whom a program acted
    on_behalf_of = models.JSONField(null=True)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=40)
    object_id = models.UUIDField(null=True)
    object_label = models.CharField(max_length=254, blank=True)
    changes = models.JSONField(default=dict)  # {field: [before, after]}
    ip = models.GenericIPAddressField(null=True)

    objects: ClassVar[AuditEventManager] = AuditEventManager()

    class Meta(OrgOwned.Meta):
        indexes = [models.Index(fields=["org", "-at", "-id"], name="orgs_audit_newest")]


class IdempotencyRecord(OrgOwned):
    """The first response to an Idempotency-Key, which is sent again to each repeated request for 24 h.

    `status` is null until there is a response.
    """

    key = models.CharField(max_length=200)
    operation = models.CharField(max_length=200)  # method and path
    body_digest = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["org", "key"], name="orgs_idempotency_key")]
        indexes = [models.Index(fields=["created_at"], name="orgs_idempotency_age")]
