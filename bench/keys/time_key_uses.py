"""`python -m bench.keys.time_key_uses`: use an API key in the same way as a request, and print the times as JSON.

Prints {"first", "later", "wrong", "bcrypt"} in milliseconds: the wall time of the first use, and the CPU times of a
later use, of a use with a wrong secret, and of one bcrypt hash with the cost factor of API keys. A use includes everything
from the header to the principal, with the database queries.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from statistics import median

import bcrypt
import django
import orjson

USES = 200


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.test import RequestFactory
    from rest_framework.exceptions import AuthenticationFailed

    from apps.auth import keys
    from apps.auth.models import User, new_id
    from apps.orgs import credentials
    from apps.orgs.http import authentication
    from apps.orgs.keys import services as api_keys
    from apps.orgs.members.services import create_org
    from apps.orgs.models import Membership
    from apps.orgs.principals import SYSTEM, Principal
    from apps.orgs.roles import Role
    from apps.orgs.walls.scope import org_scope

    user = User.objects.create_user(email=f"bench-{new_id()}@example.com", password=None)
    org = create_org(name="Bench", owner=user, by=SYSTEM)
    with org_scope(org.pk):
        membership = Membership.objects.for_org(org).get(user=user)
        by = Principal(org.pk, user.pk, Role.OWNER, SYSTEM.actor, membership_id=membership.pk)
        key = api_keys.create(org=org, by=by, name="Bench", role=Role.ADMIN)
    wrong_key = _with_another_secret(key.text)

    def use_key(text: str) -> None:
        request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {text}")
        credential = authentication.read_credential(request)
        with org_scope(credentials.org_id_of(credential)):
            credentials.load_principal(credential)

    def use_wrong_key() -> None:
        with suppress(AuthenticationFailed):
            use_key(wrong_key)

    use_wrong_key()  # This connects to the database. The cache of verified keys stays empty.
    started = time.perf_counter()
    use_key(key.text)
    first_seconds = time.perf_counter() - started
    salt = bcrypt.gensalt(keys.BCRYPT_COST)
    results = {
        "first": first_seconds * 1000,
        "later": _median_cpu(lambda: use_key(key.text), USES),
        "wrong": _median_cpu(use_wrong_key, USES),
        "bcrypt": _median_cpu(lambda: bcrypt.hashpw(b"secret", salt), 5),
    }
    sys.stdout.write(orjson.dumps(results).decode())


def _with_another_secret(text: str) -> str:
    """Return a key with the same prefix and format, but another secret."""
    scheme, prefix, _ = text.split("_", 2)
    body = f"{scheme}_{prefix}_{'A' * 43}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def _median_cpu(function: Callable[[], object], times: int) -> float:
    """Return the median CPU time of one call, in milliseconds."""
    durations = []
    for _ in range(times):
        started = time.process_time()
        function()
        durations.append(time.process_time() - started)
    return median(durations) * 1000


if __name__ == "__main__":
    main()
