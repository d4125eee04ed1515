"""Anything else in Python

A source declares its streams and returns pages. It receives the token of the next page as `pagination`. A run
that is retried sends the same token again, and the source must return the same page.
"""

import csv
import io
from typing import Any

from drover import Field, Page, Source


class Rates(Source):
    streams = ["rates"]
    hosts = ["data.rates.example"]

    class Config:
        years: int = Field("How many years back", default=3)

    def get(self, pagination: dict[str, Any] | None = None) -> Page:
        year = (pagination or {"year": 2026})["year"]
        response = self.session.get(f"https://data.rates.example/{year}.csv")
        rows = list(csv.DictReader(io.StringIO(response.text)))
        is_last = year <= 2026 - self.config.years
        return Page(rows, None if is_last else {"year": year - 1})
