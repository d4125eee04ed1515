"""The settings and headers of a production installation, as checked by Django and seen by a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import django, json
django.setup()
from django.test import Client
from django.conf import settings
from django.core.management import call_command
call_command("check", deploy=True, fail_level="WARNING")
client = Client(HTTP_HOST="drover.example.com")
asked = {}
for path in ("/", "/api/v1/health/live", "/api/v1/openapi.json", "/operators/login/", "/api/v1/org"):
    for scheme in ("https", "http"):
        answer = client.get(path, headers={"x-forwarded-proto": scheme})
        asked[f"{scheme} {path}"] = [answer.status_code, dict(answer.headers)]
cookies = {name: {k: str(v) for k, v in morsel.items()} for name, morsel in client.cookies.items()}
print(json.dumps([asked, cookies, settings.DEBUG]))
"""


def production(code: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "s" * 20 + "abcdefghijklmnopqrstuvwxyz0123456789",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "API_KEY_PEPPER": "p" * 40,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere",
        "DROVER_DEPLOYMENT": "production",
        "DROVER_PUBLIC_URL": "https://drover.example.com",
        "DROVER_ALLOWED_HOSTS": "drover.example.com",
        "DROVER_TRUSTED_PROXIES": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def done() -> subprocess.CompletedProcess[str]:
    return production(ASK)


@pytest.fixture
def asked(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout.splitlines()[-1])


def test_the_deployment_check_finds_nothing(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout


def test_every_page_has_security_headers(asked: Any) -> None:
    answers, _, debug = asked
    assert debug is False
    for where, (_, headers) in answers.items():
        if not where.startswith("https "):
            continue
        assert headers["X-Frame-Options"] == "DENY", where
        assert headers["X-Content-Type-Options"] == "nosniff", where
        assert headers["Referrer-Policy"] == "same-origin", where
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains", where


def test_plain_http_is_sent_to_https_but_for_what_is_asked_from_inside(asked: Any) -> None:
    answers = asked[0]
    for path in ("/", "/operators/login/", "/api/v1/org"):
        status, headers = answers[f"http {path}"]
        assert (status, headers["Location"]) == (301, f"https://drover.example.com{path}")
    assert answers["http /api/v1/health/live"][0] == 200


def test_cookies_are_for_https_and_not_for_scripts(asked: Any) -> None:
    cookies = asked[1]
    assert "csrftoken" in cookies
    for name, cookie in cookies.items():
        assert cookie["secure"] == "True", name
        assert cookie["httponly"] == "True", name
        assert cookie["samesite"] == "Strict", name
