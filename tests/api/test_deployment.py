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
REQUEST_PAGES = """
import django, json
django.setup()
from django.test import Client
from django.conf import settings
from django.core.management import call_command
call_command("check", deploy=True, fail_level="WARNING")
client = Client(HTTP_HOST="drover.example.com")
responses = {}
for path in ("/", "/api/v1/health/live", "/api/v1/openapi.json", "/operators/login/", "/api/v1/org"):
    for scheme in ("https", "http"):
        answer = client.get(path, headers={"x-forwarded-proto": scheme})
        responses[f"{scheme} {path}"] = [answer.status_code, dict(answer.headers)]
cookies = {name: {k: str(v) for k, v in morsel.items()} for name, morsel in client.cookies.items()}
print(json.dumps([responses, cookies, settings.DEBUG]))
"""


def run_in_production(code: str) -> subprocess.CompletedProcess[str]:
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
def finished_process() -> subprocess.CompletedProcess[str]:
    return run_in_production(REQUEST_PAGES)


@pytest.fixture
def results(finished_process: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(finished_process.stdout.splitlines()[-1])


def test_the_deployment_check_finds_no_problem(
    finished_process: subprocess.CompletedProcess[str],
) -> None:
    assert finished_process.returncode == 0, finished_process.stdout + finished_process.stderr
    assert "no issues" in finished_process.stdout


def test_every_page_has_security_headers(results: Any) -> None:
    answers, _, debug = results
    assert debug is False
    for request, (_, headers) in answers.items():
        if not request.startswith("https "):
            continue
        assert headers["X-Frame-Options"] == "DENY", request
        assert headers["X-Content-Type-Options"] == "nosniff", request
        assert headers["Referrer-Policy"] == "same-origin", request
        policy = headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains", (
            request
        )


def test_plain_http_is_redirected_to_https_except_for_health_checks(results: Any) -> None:
    answers = results[0]
    for path in ("/", "/operators/login/", "/api/v1/org"):
        status, headers = answers[f"http {path}"]
        assert (status, headers["Location"]) == (301, f"https://drover.example.com{path}")
    assert answers["http /api/v1/health/live"][0] == 200


def test_cookies_are_only_sent_over_https_and_hidden_from_scripts(results: Any) -> None:
    cookies = results[1]
    assert "csrftoken" in cookies
    for name, cookie in cookies.items():
        assert cookie["secure"] == "True", name
        assert cookie["httponly"] == "True", name
        assert cookie["samesite"] == "Strict", name
