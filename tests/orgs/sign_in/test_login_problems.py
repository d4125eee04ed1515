"""The login page explains each reason why a log-in with an identity provider can fail."""

from __future__ import annotations

import re
from itertools import chain

from local.home import CHECKOUT

RAISED_REASON = re.compile(r'(?:SignInRefused|ProviderFailed|redirect_to_problem)\(\s*"(\w+)"')
PROBLEM_KEY = re.compile(r"^  (\w+):", re.MULTILINE)


def test_the_login_page_has_a_text_for_each_reason() -> None:
    sources = chain(*((CHECKOUT / "apps" / app).rglob("*.py") for app in ("auth", "orgs")))
    reasons = set(chain(*(RAISED_REASON.findall(source.read_text()) for source in sources)))
    texts = PROBLEM_KEY.findall(
        (CHECKOUT / "frontend/src/features/sign-in/problems.ts").read_text()
    )
    assert {"member_linked", "linking_expired", "link_spent"} <= reasons
    assert reasons - set(texts) == set()
