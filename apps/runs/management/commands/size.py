from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Print how large this installation is, how busy its workers are, and whether another worker is needed."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.runs.statistics.size import DAYS, advice, read_size

        size = read_size()
        lines = [
            ("Organizations", f"{size.orgs:,}"),
            ("Enabled pipelines", f"{size.pipelines:,}"),
            (
                "Runs of 24 hours",
                f"{size.runs:,}, of which {size.failed:,} failed; {size.records:,} records written",
            ),
        ]
        if size.busiest:
            lines.append(
                (
                    f"Busiest hour of {DAYS} days",
                    f"{size.busiest.at:%Y-%m-%d %H:%M} UTC: {size.busiest.runs:,} runs, {size.busiest.running:.2f} at once "
                    "on average",
                )
            )
        lines += [
            ("Workers", f"{size.workers:,}, for {size.places:,} runs at once"),
            ("Database", f"{size.database_bytes / 1e6:,.0f} MB"),
            *(
                (
                    f"  {table.name}",
                    f"{table.bytes / 1e6:,.1f} MB"
                    + ("" if table.rows is None else f", about {table.rows:,} rows"),
                )
                for table in size.tables
            ),
        ]
        width = max(len(name) for name, _ in lines)
        for name, value in lines:
            self.stdout.write(f"{name.ljust(width)}  {value}")
        for sentence in advice(size):
            self.stdout.write(f"-> {sentence}")
