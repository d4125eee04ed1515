"""Preload this into a fork server to reduce the size limit of repositories, so that tests need no huge ones."""

from __future__ import annotations

from apps.engine import repository

MOST = 4 << 20  # bytes over the network

repository.LIMITS["network"] = MOST
