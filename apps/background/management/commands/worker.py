"""`manage.py worker`: execute runs, trigger schedules, recover from crashes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from apps.background import connections, health, private, workers
from apps.engine.sandbox import roots

logger = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Execute runs, trigger schedules and recover from crashes, until SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=int,
            default=settings.WORKER_CONCURRENCY,
            help="Number of concurrent runs (default: %(default)s).",
        )

    def handle(self, *args: Any, concurrency: int, **options: Any) -> None:
        private.make_private(settings.DROVER_HOME)
        roots.sweep(settings.SANDBOX_HOME)
        connections.warn_if_too_few()
        logger.info("isolation of custom code", isolation=health.check_isolation().seen)
        workers.work(concurrency=concurrency)
