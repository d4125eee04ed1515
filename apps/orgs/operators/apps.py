from django.contrib.admin.apps import AdminConfig


class OperatorsConfig(AdminConfig):
    """Django's admin with our site instead of the default."""

    default_site = "apps.orgs.operators.site.OperatorSite"
