"""Register the connectors that fail on request, in a fork server that preloads this module."""

from apps.engine.destinations import DESTINATIONS
from apps.engine.process import progress
from apps.engine.sources import SOURCES
from apps.engine.sources.postgres import source
from apps.engine.sync import batches, runner
from tests.engine import faults

SOURCES["faulty"] = "tests.engine.faulty_source"
SOURCES["unchanging"] = "tests.engine.unchanging_source"
DESTINATIONS["ledger"] = "tests.engine.ledger"

# A run of a test lasts only a second or two, so it needs more frequent checkpoints and reports.
batches.FIRST_FLUSH_SECONDS = 0.02
runner.PROGRESS_INTERVAL = 0.02
progress.MIN_INTERVAL = 0.1
# Runs read their small tables as large ones are read. Tests of the source alone read them through one connection.
source.BULK_BYTES, source.BULK_PAGE_ROWS = 0, 1
faults.install()
