"""The engine moves records. Importing this package does not import polars or bizon; only child processes do."""

from apps.engine.contract import (
    DestinationSpec,
    Event,
    Failed,
    FileMoved,
    FilesWithdrawn,
    LogLine,
    Outcome,
    OutputFile,
    Progress,
    RunSpec,
    SourceSpec,
    Started,
    StopReason,
    StorageRoot,
    Succeeded,
)
from apps.engine.failures import EngineError, FailureClass
from apps.engine.process.supervisor import EngineSupervisor

__all__ = [
    "DestinationSpec",
    "EngineError",
    "EngineSupervisor",
    "Event",
    "Failed",
    "FailureClass",
    "FileMoved",
    "FilesWithdrawn",
    "LogLine",
    "Outcome",
    "OutputFile",
    "Progress",
    "RunSpec",
    "SourceSpec",
    "Started",
    "StopReason",
    "StorageRoot",
    "Succeeded",
]
