from django.contrib.admin.apps import AdminConfig


class OperatorsConfig(AdminConfig):
    """Django's admin with our site in place of its own."""

    default_site = "apps.orgs.operators.site.OperatorSite"
