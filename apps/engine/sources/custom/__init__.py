"""A source written by a person or the agent: its code runs in the sandbox, what it answers is read here."""

from apps.engine.sources.custom.source import CustomSource

__all__ = ["CustomSource"]
