"""Dagster's own storage under this project's state folder, wherever a process was started.

Dagster resolves relative paths in ``dagster.yaml`` against the current folder, and knows nothing of
``INGEST_STATE_DIR``. These three classes are its stock ones with the folder filled in, so that two
state folders never share a run history, and plain ``dagster dev`` writes where `ingest up` does.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, Self

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from ingestion_pipeline.settings import Settings


class StateFolderStorage(DagsterSqliteStorage):
    """Runs, events, schedules and sensors in SQLite."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured: the folder follows from the settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> Self:  # noqa: ARG003
        """Open the storage; one process at a time, as two that create it at once would spoil it."""
        folder = _folder("history")
        Path(folder).mkdir(parents=True, exist_ok=True)
        with Path(folder, "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return cls.from_local(folder, inst_data)


class StateFolderArtifacts(LocalArtifactStorage):
    """Files of runs."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured: the folder follows from the settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:  # noqa: ARG003
        """Open the storage."""
        return cls(_folder("artifacts"), inst_data)


class StateFolderComputeLogs(LocalComputeLogManager):
    """What runs print."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured: the folder follows from the settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:  # noqa: ARG003
        """Open the storage."""
        return cls(_folder("compute_logs"), inst_data=inst_data)


def _folder(name: str) -> str:
    return str(Settings().state / "dagster" / name)
