"""Pokémon, berries and items from the public PokéAPI."""

from __future__ import annotations

from typing import Any, ClassVar

from bizon.connectors.sources.pokeapi.src import source as upstream

from apps.engine.sources.bizon.adapter import BizonSource
from apps.engine.sources.connector import SourceSettings

KIND = "pokeapi"
TITLE = "PokéAPI"
DESCRIPTION = "Pokémon, berries and items of a public API that needs no account."
DOCS_URL = "https://pokeapi.co/docs/v2"
ICON = "sparkles"


class Config(SourceSettings):
    """There are no settings."""


class CorrectedPokeApiSource(upstream.PeriscopeSource):
    """Puts the value of the stream's enum member into the URL.

    bizon 0.6.4 puts its name there, because it uses an f-string, whose result changed in Python 3.11.
    """

    @property
    def url_entity(self) -> str:
        return f"{upstream.BASE_URL}/{upstream.PokeAPIStreams(self.config.stream).value}"


class Source(BizonSource[Config]):
    Config: ClassVar[type[Config]] = Config
    bizon_class: ClassVar[Any] = CorrectedPokeApiSource
