"""Connectors for testing faults, registered in the fork server through `preload`."""

from apps.engine.destinations import DESTINATIONS
from apps.engine.process import progress
from apps.engine.sources import SOURCES
from apps.engine.sync import batches, runner
from tests.engine import faults

SOURCES["unruly"] = "tests.engine.unruly"
DESTINATIONS["ledger"] = "tests.engine.ledger"

# A test run lasts a second or two, so checkpoints and reports are more frequent.
batches.FIRST_FLUSH_SECONDS = 0.02
runner.PROGRESS_EVERY = 0.02
progress.MIN_INTERVAL = 0.1
faults.install()
