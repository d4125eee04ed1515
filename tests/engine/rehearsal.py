"""Connectors for rehearsing bad luck, registered in the fork server through `preload`."""

from apps.engine.destinations import DESTINATIONS
from apps.engine.process import signs
from apps.engine.sources import SOURCES
from apps.engine.sync import batches, runner
from tests.engine import faults

SOURCES["unruly"] = "tests.engine.unruly"
DESTINATIONS["ledger"] = "tests.engine.ledger"

# A rehearsal lasts a second or two: the first checkpoint and the word of it come sooner.
batches.FIRST_FLUSH_SECONDS = 0.02
runner.PROGRESS_EVERY = 0.02
signs.EVERY = 0.1
faults.install()
