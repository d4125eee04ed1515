"""What the migrations from 0001 to 0025 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models
from django.db.models import functions
from django.utils import timezone

from apps.auth.models import new_id
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

TENANT = {"base_manager_name": "unscoped"}
MANAGERS = [("objects", models.Manager()), ("unscoped", models.Manager())]

PROTECTED = (
    *("orgs_domain", "orgs_domainrole", "orgs_apikey", "orgs_auditevent"),
    *("orgs_idempotencyrecord", "orgs_invitation", "orgs_identityprovider", "orgs_federatedidentity"),
    *("orgs_supportaccess", "orgs_scimuser", "orgs_scimgroup", "orgs_scimmembership", "orgs_verifieddomain"),
)

# Logging in and switching read memberships and orgs before an org is chosen. So the policies let users read their own
# rows without a scope. Writing needs the scope of the org.
MEMBERSHIP = """
ALTER TABLE orgs_membership ADD CONSTRAINT orgs_membership_org_key UNIQUE (org_id, id);
ALTER TABLE orgs_membership ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON orgs_membership TO app_user
    USING (org_id = (SELECT app_org_or_null())) WITH CHECK (org_id = (SELECT app_org_or_null()));
CREATE POLICY own ON orgs_membership FOR SELECT TO app_user USING (user_id = (SELECT app_user_or_null()));
CREATE POLICY operators ON orgs_membership TO app_ops USING (true) WITH CHECK (true);

ALTER TABLE orgs_org ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON orgs_org TO app_user
    USING (id = (SELECT app_org_or_null())) WITH CHECK (id = (SELECT app_org_or_null()));
CREATE POLICY own ON orgs_org FOR SELECT TO app_user
    USING (id IN (SELECT org_id FROM orgs_membership WHERE user_id = (SELECT app_user_or_null())));
CREATE POLICY operators ON orgs_org TO app_ops USING (true) WITH CHECK (true);
"""

# Control, format and bidirectional characters, which no name of any script needs.
NOT_IN_NAMES = "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"


def plain_name(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_NAMES}), name=name)


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("orgs", "0001_initial"),
        ("orgs", "0002_walls"),
        ("orgs", "0003_access"),
        ("orgs", "0004_rules"),
        ("orgs", "0005_rules_walls"),
        ("orgs", "0006_providers"),
        ("orgs", "0007_providers_walls"),
        ("orgs", "0008_support"),
        ("orgs", "0009_support_walls"),
        ("orgs", "0010_scim"),
        ("orgs", "0011_scim_walls"),
        ("orgs", "0012_scim_given"),
        ("orgs", "0013_names"),
        ("orgs", "0014_given_up_addresses"),
        ("orgs", "0015_plain_names"),
        ("orgs", "0016_key_use"),
        ("orgs", "0017_retention"),
        ("orgs", "0018_scim_claims"),
        ("orgs", "0019_claims"),
        ("orgs", "0020_verified_domains"),
        ("orgs", "0021_unanswered_domains"),
        ("orgs", "0022_directory_texts"),
        ("orgs", "0023_audit_on_behalf_of"),
        ("orgs", "0024_sql_functions"),
        ("orgs", "0025_plain_sql_comments"),
    ]

    dependencies = [
        ("identity", "0005_proof_version"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            "Org",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("slug", models.SlugField(max_length=80, unique=True)),
                ("data_key", models.TextField(editable=False)),
                ("max_running", models.PositiveIntegerField(default=5)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("deletion_at", models.DateTimeField(blank=True, null=True)),
                ("email_domains", ArrayField(base_field=models.CharField(max_length=253), default=list, size=None)),
                ("max_bytes_month", models.PositiveBigIntegerField(blank=True, null=True)),
                ("max_members", models.PositiveIntegerField(blank=True, null=True)),
                ("max_pipelines", models.PositiveIntegerField(blank=True, null=True)),
                ("max_rows_month", models.PositiveBigIntegerField(blank=True, null=True)),
                ("networks", ArrayField(base_field=models.CharField(max_length=50), default=list, size=None)),
                ("require_second_factor", models.BooleanField(default=False)),
                ("require_sso", models.BooleanField(default=False)),
                ("suspended_at", models.DateTimeField(blank=True, null=True)),
                ("suspended_because", models.CharField(blank=True, max_length=500)),
                ("keep_audit_days", models.PositiveIntegerField(blank=True, default=365, null=True)),
                ("keep_events_days", models.PositiveIntegerField(blank=True, default=90, null=True)),
                ("keep_logs_days", models.PositiveIntegerField(blank=True, default=90, null=True)),
                ("keep_runs_days", models.PositiveIntegerField(blank=True, null=True)),
            ],
            {
                "constraints": [
                    plain_name("name", name="orgs_org_name_plain"),
                    plain_name("suspended_because", name="orgs_org_because_plain"),
                    models.CheckConstraint(condition=models.Q(("keep_audit_days__gte", 365), ("keep_audit_days", None), _connector="OR"), name="orgs_org_keeps_audit_a_year"),
                ],
            },
        ),
        migrations.CreateModel(
            "Domain",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=80)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(models.F("org"), functions.Lower("name"), name="orgs_domain_name"),
                    plain_name("name", name="orgs_domain_name_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Membership",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("role", models.CharField(choices=[("owner", "Owner"), ("admin", "Admin"), ("member", "Member"), ("viewer", "Viewer")], max_length=10)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("user", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "user"), name="orgs_membership_once"),
                    models.CheckConstraint(condition=models.Q(("role__in", ["owner", "admin", "member", "viewer"])), name="orgs_membership_role"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "IdempotencyRecord",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=200)),
                ("operation", models.CharField(max_length=200)),
                ("body_digest", models.BinaryField(max_length=32)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(default=bytes)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["created_at"], name="orgs_idempotency_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "key"), name="orgs_idempotency_key"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "DomainRole",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("role", models.CharField(choices=[("owner", "Owner"), ("admin", "Admin"), ("member", "Member"), ("viewer", "Viewer")], max_length=10)),
                ("domain", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.domain")),
                ("membership", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.membership")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "domain", "membership"), name="orgs_domainrole_once"),
                    models.CheckConstraint(condition=models.Q(("role__in", ["viewer", "member", "admin"])), name="orgs_domainrole_role"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "AuditEvent",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor_kind", models.CharField(max_length=12)),
                ("actor_id", models.UUIDField(null=True)),
                ("actor_label", models.CharField(max_length=254)),
                ("action", models.CharField(max_length=60)),
                ("object_kind", models.CharField(max_length=40)),
                ("object_id", models.UUIDField(null=True)),
                ("object_label", models.CharField(blank=True, max_length=254)),
                ("changes", models.JSONField(default=dict)),
                ("ip", models.GenericIPAddressField(null=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("on_behalf_of", models.JSONField(null=True)),
            ],
            {
                **TENANT,
                "indexes": [
                    models.Index(fields=["org", "-at", "-id"], name="orgs_audit_newest"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ApiKey",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=120)),
                ("prefix", models.CharField(max_length=12, unique=True)),
                ("hash", models.CharField(max_length=60)),
                ("tag", models.BinaryField(max_length=8)),
                ("version", models.PositiveIntegerField(default=1)),
                ("role", models.CharField(choices=[("owner", "Owner"), ("admin", "Admin"), ("member", "Member"), ("viewer", "Viewer")], max_length=10)),
                ("scopes", models.JSONField(default=list)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("created_by", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("domain", models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=models.CASCADE, related_name="+", to="orgs.domain")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "verbose_name": "API key",
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("role__in", ["owner", "admin", "member", "viewer"])), name="orgs_apikey_role"),
                    plain_name("name", name="orgs_apikey_name_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "Invitation",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254)),
                ("role", models.CharField(choices=[("owner", "Owner"), ("admin", "Admin"), ("member", "Member"), ("viewer", "Viewer")], max_length=10)),
                ("digest", models.BinaryField(max_length=32, null=True, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(null=True)),
                ("invited_by", models.ForeignKey(null=True, on_delete=models.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(condition=models.Q(("accepted_at__isnull", True)), fields=("org", "email"), name="orgs_invitation_open_once"),
                    models.CheckConstraint(condition=models.Q(("role__in", ["owner", "admin", "member", "viewer"])), name="orgs_invitation_role"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "FederatedIdentity",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("subject", models.CharField(max_length=191)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("membership", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.membership")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("email", models.EmailField(blank=True, db_default="", max_length=254)),
                ("name", models.CharField(blank=True, db_default="", max_length=120)),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "subject"), name="orgs_federated_subject"),
                    models.UniqueConstraint(fields=("org", "membership"), name="orgs_federated_member"),
                    plain_name("name", name="orgs_federated_name_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "IdentityProvider",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("issuer", models.CharField(max_length=500)),
                ("client_id", models.CharField(max_length=191)),
                ("sealed", models.TextField()),
                ("secret_last4", models.CharField(blank=True, max_length=4)),
                ("join_role", models.CharField(blank=True, max_length=10)),
                ("enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org",), name="orgs_identityprovider_once"),
                    models.CheckConstraint(condition=models.Q(("join_role__in", ["", "viewer", "member"])), name="orgs_identityprovider_role"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "SupportAccess",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("reason", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("until", models.DateTimeField()),
                ("operator", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "verbose_name_plural": "support accesses",
                "constraints": [
                    plain_name("reason", name="orgs_support_reason_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ScimGroup",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("display_name", models.CharField(max_length=200)),
                ("external_id", models.CharField(blank=True, max_length=200)),
                ("role", models.CharField(blank=True, max_length=10)),
                ("created_at", models.DateTimeField(default=timezone.now)),
                ("updated_at", models.DateTimeField(default=timezone.now)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
            ],
            {
                **TENANT,
                "verbose_name": "SCIM group",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "display_name"), name="orgs_scimgroup_name"),
                    models.CheckConstraint(condition=models.Q(("role__in", ["", "viewer", "member", "admin"])), name="orgs_scimgroup_role"),
                    plain_name("display_name", name="orgs_scimgroup_name_plain"),
                    plain_name("external_id", name="orgs_scimgroup_external_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ScimUser",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("user_name", models.CharField(max_length=254)),
                ("external_id", models.CharField(blank=True, max_length=200)),
                ("display_name", models.CharField(blank=True, max_length=200)),
                ("active", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(default=timezone.now)),
                ("updated_at", models.DateTimeField(default=timezone.now)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("given", models.CharField(blank=True, max_length=10)),
                ("claims", models.JSONField(db_default={}, default=dict)),
                ("email", models.EmailField(blank=True, db_default="", default="", max_length=254)),
            ],
            {
                **TENANT,
                "verbose_name": "SCIM user",
                "constraints": [
                    plain_name("user_name", name="orgs_scimuser_user_plain"),
                    plain_name("display_name", name="orgs_scimuser_name_plain"),
                    models.UniqueConstraint(models.F("org"), functions.Upper("user_name"), name="orgs_scimuser_user_name"),
                    models.UniqueConstraint(condition=models.Q(("email", ""), _negated=True), fields=("org", "email"), name="orgs_scimuser_email"),
                    plain_name("external_id", name="orgs_scimuser_external_plain"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "ScimMembership",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("group", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.scimgroup")),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("user", models.ForeignKey(db_constraint=False, on_delete=models.CASCADE, related_name="+", to="orgs.scimuser")),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "group", "user"), name="orgs_scimmembership_once"),
                ],
            },
            managers=MANAGERS,
        ),
        migrations.CreateModel(
            "VerifiedDomain",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("domain", models.CharField(max_length=253)),
                ("token", models.CharField(max_length=64)),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("missing_since", models.DateTimeField(blank=True, null=True)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("org", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to="orgs.org")),
                ("unanswered_since", models.DateTimeField(blank=True, null=True)),
            ],
            {
                **TENANT,
                "constraints": [
                    models.UniqueConstraint(fields=("org", "domain"), name="orgs_verifieddomain_once"),
                    models.UniqueConstraint(condition=models.Q(("verified_at__isnull", False)), fields=("domain",), name="orgs_verifieddomain_owner"),
                ],
            },
            managers=MANAGERS,
        ),
        rls.functions(),
        migrations.RunSQL(MEMBERSHIP, migrations.RunSQL.noop),
        *(rls.protect(table) for table in PROTECTED),
        rls.same_org("orgs_domainrole", "domain_id", "orgs_domain", on_delete="CASCADE"),
        rls.same_org("orgs_domainrole", "membership_id", "orgs_membership", on_delete="CASCADE"),
        rls.same_org("orgs_apikey", "domain_id", "orgs_domain", on_delete="CASCADE"),
        rls.same_org("orgs_federatedidentity", "membership_id", "orgs_membership", on_delete="CASCADE"),
        rls.same_org("orgs_scimmembership", "group_id", "orgs_scimgroup", on_delete="CASCADE"),
        rls.same_org("orgs_scimmembership", "user_id", "orgs_scimuser", on_delete="CASCADE"),
        rls.append_only("orgs_auditevent"),
        InstallFunctions(
            {
                "orgs/credentials.sql": "0e815940e9e4",
                "orgs/members/invitations.sql": "6338b62626e2",
                "orgs/members/verified_domains.sql": "a41cc190e4cb",
                "orgs/sign_in/providers.sql": "4ec94d3c24aa",
            }
        ),
    ]
