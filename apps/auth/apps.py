from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Who are you. Labelled `identity`, because Django's own app is called `auth`."""

    name = "apps.auth"
    label = "identity"
