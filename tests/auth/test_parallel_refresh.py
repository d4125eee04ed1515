"""Eight requests use one refresh token at the same time, over real database connections."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from apps.auth.models import RefreshFamily, RefreshToken
from tests.auth.test_sign_in import get_me, refresh, register
from tests.world import new_client


@pytest.mark.parametrize("repetition", range(3))
def test_one_of_eight_parallel_refreshes_gets_a_new_token_and_all_stay_logged_in(
    committed_db: None, repetition: int
) -> None:
    first = new_client()
    register(first, "ada@example.com")
    token = first.cookies["drover_refresh"].value
    barrier = threading.Barrier(8)
    answers: list[Any] = []

    def refresh_with_token() -> None:
        client = new_client()
        client.cookies["drover_refresh"] = token
        barrier.wait()
        answers.append(refresh(client))
        connection.close()

    threads = [threading.Thread(target=refresh_with_token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum("drover_refresh" in answer.cookies for answer in answers) == 1
    assert all(get_me(answer.json()["access"]).status_code == 200 for answer in answers)
    assert RefreshToken.objects.count() == 2
    assert not RefreshFamily.objects.filter(revoked_at__isnull=False).exists()
