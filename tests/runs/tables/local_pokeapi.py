"""Let bizon's source of PokeAPI ask the server of a test, in a fork server that preloads this module."""

import os

from bizon.connectors.sources.pokeapi.src import source

source.BASE_URL = os.environ["LOCAL_POKEAPI_URL"]
