"""Sources written by a user or the agent: their code runs in the sandbox, and this package reads its output."""

from apps.engine.sources.custom.source import SandboxedSource

__all__ = ["SandboxedSource"]
