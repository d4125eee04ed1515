"""What the migrations from 0001 to 0006 create, for new installations. See ADR 89.

Installations to which some of those migrations were applied continue with them. Do not change this file: add migrations.
"""

from django.conf import settings
from django.db import migrations, models
from django.db.models import functions

from apps.auth.models import new_id

# Control, format and bidirectional characters, which no name of any script needs.
NOT_IN_NAMES = "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"


def plain_name(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=~models.Q(**{f"{field}__regex": NOT_IN_NAMES}), name=name)


class Migration(migrations.Migration):
    initial = True

    replaces = [
        ("identity", "0001_initial"),
        ("identity", "0002_account"),
        ("identity", "0003_challenge"),
        ("identity", "0004_names"),
        ("identity", "0005_proof_version"),
        ("identity", "0006_plain_names"),
    ]

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            "StreamTicket",
            [
                ("digest", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ("claims", models.JSONField()),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        migrations.CreateModel(
            "User",
            [
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("is_superuser", models.BooleanField(default=False, help_text="Designates that this user has all permissions without explicitly assigning them.", verbose_name="superuser status")),
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254, unique=True)),
                ("name", models.CharField(blank=True, max_length=120)),
                ("email_verified_at", models.DateTimeField(blank=True, null=True)),
                ("is_active", models.BooleanField(default=True)),
                ("is_staff", models.BooleanField(default=False)),
                ("token_version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("kind", models.CharField(choices=[("person", "Person"), ("service", "Service")], default="person", max_length=10)),
                ("proof_version", models.PositiveIntegerField(db_default=1, default=1)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(blank=True, help_text="Specific permissions for this user.", related_name="user_set", related_query_name="user", to="auth.permission", verbose_name="user permissions"),
                ),
            ],
            {
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("email", functions.Lower("email"))), name="identity_user_email_lower"),
                    plain_name("name", name="identity_user_name_plain"),
                ],
            },
        ),
        migrations.CreateModel(
            "LoginAttempt",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=80)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
            {
                "indexes": [
                    models.Index(fields=["key", "at"], name="identity_attempt_key_at"),
                ],
            },
        ),
        migrations.CreateModel(
            "RefreshFamily",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("user_agent", models.CharField(blank=True, max_length=200)),
                ("ip", models.GenericIPAddressField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("last_used_at", models.DateTimeField(auto_now_add=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_reason", models.CharField(blank=True, max_length=40)),
                ("user", models.ForeignKey(on_delete=models.CASCADE, related_name="refresh_families", to=settings.AUTH_USER_MODEL)),
                ("method", models.CharField(default="password", max_length=60)),
                ("only_org", models.UUIDField(blank=True, null=True)),
                ("second_factor_at", models.DateTimeField(blank=True, null=True)),
            ],
            {
                "verbose_name": "session",
                "constraints": [
                    plain_name("user_agent", name="identity_session_agent_plain"),
                ],
            },
        ),
        migrations.CreateModel(
            "RefreshToken",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("family", models.ForeignKey(on_delete=models.CASCADE, related_name="tokens", to="identity.refreshfamily")),
            ],
        ),
        migrations.CreateModel(
            "MailedLink",
            [
                ("id", models.UUIDField(default=new_id, editable=False, primary_key=True, serialize=False)),
                ("purpose", models.CharField(choices=[("verify", "Verify"), ("reset", "Reset"), ("change", "Change")], max_length=10)),
                ("email", models.EmailField(max_length=254)),
                ("digest", models.BinaryField(max_length=32, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField()),
                ("user", models.ForeignKey(on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            "Challenge",
            [
                ("digest", models.BinaryField(max_length=32, primary_key=True, serialize=False)),
                ("purpose", models.CharField(max_length=20)),
                ("state", models.TextField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                ("user", models.ForeignKey(null=True, on_delete=models.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
        ),
    ]
