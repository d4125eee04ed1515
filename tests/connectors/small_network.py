"""Preload it into a fork server: its repositories may be small, so that one that is too large need not be huge."""

from __future__ import annotations

from apps.engine import repository

MOST = 4 << 20  # bytes over the network

repository.LIMITS["network"] = MOST
