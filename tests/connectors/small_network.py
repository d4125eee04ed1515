"""Reduce the size limit of repositories, so that tests need no huge ones. A fork server preloads this module."""

from __future__ import annotations

from apps.engine import repository

MAX_NETWORK_BYTES = 4 << 20

repository.LIMITS["network"] = MAX_NETWORK_BYTES
