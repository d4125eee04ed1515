"""`python -m bench.use_keys`: use an API key as requests do; prints JSON of milliseconds.

Prints {"first", "later", "wrong", "bcrypt"}: the wall time of the first use; the CPU of a later one, of one with
a wrong secret, and of one bcrypt at the cost of API keys. Each includes everything from the header to the
principal, with database queries.
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
        mine = Membership.objects.for_org(org).get(user=user)
        by = Principal(org.pk, user.pk, Role.OWNER, SYSTEM.actor, membership_id=mine.pk)
        made = api_keys.create(org=org, by=by, name="Bench", role=Role.ADMIN)
    wrong = _with_another_secret(made.text)

    def use(text: str) -> None:
        request = RequestFactory().get("/", HTTP_AUTHORIZATION=f"Bearer {text}")
        credential = authentication.read(request)
        with org_scope(credentials.org_of(credential)):
            credentials.load(credential)

    def use_wrong() -> None:
        with suppress(AuthenticationFailed):
            use(wrong)

    use_wrong()  # connects to the database; verifies nothing
    began = time.perf_counter()
    use(made.text)
    first = time.perf_counter() - began
    salt = bcrypt.gensalt(keys.BCRYPT_COST)
    answer = {
        "first": first * 1000,
        "later": _cpu(lambda: use(made.text), USES),
        "wrong": _cpu(use_wrong, USES),
        "bcrypt": _cpu(lambda: bcrypt.hashpw(b"secret", salt), 5),
    }
    sys.stdout.write(orjson.dumps(answer).decode())


def _with_another_secret(text: str) -> str:
    """Return another key with the same prefix and format."""
    scheme, prefix, _ = text.split("_", 2)
    body = f"{scheme}_{prefix}_{'A' * 43}"
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def _cpu(act: Callable[[], object], times: int) -> float:
    """Return the median milliseconds of CPU of one call."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        act()
        taken.append(time.process_time() - began)
    return median(taken) * 1000


if __name__ == "__main__":
    main()
