from __future__ import annotations

from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from apps.auth import names
from apps.orgs.operators.accounts import create_org_with_owner
from apps.orgs.principals import SYSTEM
from apps.orgs.sign_in.passwords import read_or_generate_password


class Command(BaseCommand):
    """Create an organization. If the owner has no account, create it with a password that is printed once."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="name of the organization")
        parser.add_argument(
            "--owner",
            required=True,
            metavar="EMAIL",
            help="e-mail address of the owner, whose account is created if necessary",
        )
        parser.add_argument(
            "--password-file", help="read the new owner's password from a file; - is stdin"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["owner"].strip().lower()
        try:
            name = names.parse_name(options["name"])
        except names.InvalidName as error:
            raise CommandError(str(error)) from None
        if not 1 <= len(name) <= 120:
            raise CommandError("The name must have 1 to 120 characters.")
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"{email!r} is not an e-mail address.") from None
        org, password = create_org_with_owner(
            name=name,
            owner_email=email,
            create_password=partial(read_or_generate_password, options["password_file"], email),
            by=SYSTEM,
        )
        self.stdout.write(
            f"Created the organization {org.name} ({org.slug}) with the owner {email}."
        )
        if password and not options["password_file"]:
            self.stdout.write(f"Password, shown only once: {password}")
