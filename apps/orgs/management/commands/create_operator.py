from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from apps.orgs.operators.accounts import AccountExists, create_operator
from apps.orgs.sign_in.passwords import read_or_generate_password


class Command(BaseCommand):
    """Create an operator, who may log in to the pages under /operators/. The password is printed once."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="e-mail address that has no account yet")
        parser.add_argument("--password-file", help="read the password from a file; - is stdin")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"{email!r} is not an e-mail address.") from None
        password = read_or_generate_password(options["password_file"], email)
        try:
            create_operator(email=email, password=password)
        except AccountExists:
            raise CommandError(
                f"{email} already has an account: operators need a separate account."
            ) from None
        self.stdout.write(
            f"Created the operator {email}. Log in at {settings.PUBLIC_URL}{settings.OPERATORS_PATH}"
        )
        self.stdout.write(
            "At the first log-in you set up a second factor. Have an authenticator app ready."
        )
        if not options["password_file"]:
            self.stdout.write(f"Password, shown only once: {password}")
