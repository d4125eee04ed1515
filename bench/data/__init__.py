"""Copy lineitem of TPC-H from PostgreSQL to PostgreSQL and to Parquet, and compare with other tools in pairs of runs."""

from bench.data.figures import measure

__all__ = ["measure"]
