"""Connectors for rehearsing bad luck, registered in the fork server through `preload`."""

from apps.engine.destinations import DESTINATIONS
from apps.engine.sources import SOURCES

SOURCES["unruly"] = "tests.engine.unruly"
DESTINATIONS["ledger"] = "tests.engine.ledger"
