"""What a process that is none of Dagster's asks of it; mostly there is none at work.

Importing Dagster takes a second, which a short command has better uses for. So it is imported only
where the files of its storage do not answer already.

Belongs here: those answers. Does not belong here: asking Dagster itself (``runs``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import yaml

from ingestion_pipeline.settings import INSTANCE_FILE, Settings, dagster_home
from ingestion_pipeline.tasks.reconciliation import Standing

if TYPE_CHECKING:
    from ingestion_pipeline.execution.runs import DagsterRuns

STORAGE = "StateFolderStorage"
"""The storage whose files are known; see ``state_folder``."""
DATABASE = "dagster/history/history/runs.db*"
"""Where a daemon's heartbeats are written, in the state folder; beside it the write-ahead log."""
SILENCE_SECONDS = 120.0
"""A daemon beats every 30 seconds."""


class OutsideRuns:
    """What reconciliation asks of Dagster (``tasks.reconciliation.Runs``), asked where needed."""

    def standings(self, run_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return what Dagster knows of each run."""
        return _runs().standings(run_ids) if run_ids else {}

    def report_stopped(self, run_id: str, reason: str) -> None:
        """Take a run for ended that does not answer."""
        _runs().report_stopped(run_id, reason)


def _runs() -> DagsterRuns:
    from ingestion_pipeline.execution.instance import open_instance
    from ingestion_pipeline.execution.runs import DagsterRuns

    return DagsterRuns(open_instance())


def carries_tasks_out() -> bool:
    """Whether Dagster takes tasks up: a live daemon, the sensor switched on, a queue that moves."""
    if _is_silent():
        return False
    from ingestion_pipeline.execution.instance import open_instance
    from ingestion_pipeline.execution.runs import carries_tasks_out

    return carries_tasks_out(open_instance())


def _is_silent() -> bool:
    """Whether nothing was written for so long that no daemon can be alive."""
    instance = dagster_home() / INSTANCE_FILE
    configured = yaml.safe_load(instance.read_text()) if instance.is_file() else None
    storage = (configured or {}).get("storage", {})
    if storage.get("custom", {}).get("class") != STORAGE:
        return False
    try:
        written = [path.stat().st_mtime for path in Settings().state.glob(DATABASE)]
    except FileNotFoundError:
        return False  # a log was closed just now, so somebody writes
    return time.time() - max(written, default=0.0) > SILENCE_SECONDS
