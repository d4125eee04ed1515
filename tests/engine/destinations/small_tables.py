"""Read the small tables of a test as small ones, in a fork server that preloads this module after `rehearsal`."""

from apps.engine.sources.postgres import source

source.BULK_BYTES = 8 << 20
