from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Users and authentication. The label is `identity`, because Django's own app is called `auth`."""

    name = "apps.auth"
    label = "identity"
