"""Settings of the CSV destination."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from apps.engine.destinations.file_sets.config import BucketSettings


class CsvConfig(BucketSettings):
    """The folder of the files, and the format of their cells."""

    model_config = ConfigDict(extra="forbid", title="CSV files")

    delimiter: Literal[",", ";", "\t", "|"] = Field(
        default=",",
        title="Delimiter",
        description="Character between two cells.",
        examples=[","],
    )
    escape_formulas: bool = Field(
        default=False,
        title="Escape formulas",
        description=(
            "Put an apostrophe before text that a spreadsheet would evaluate as a formula"
            " (beginning with = + - @ tab or carriage return). This changes the data, so leave"
            " it off for files that programs read."
        ),
        examples=[True],
    )
