"""Where the time of an ingestion goes: a flame graph and a table by stage.

Belongs here: `ingest submit --profile`. Does not belong here: what a run reports of itself at any
rate (``defs.ingest.metadata``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.cli.common import tell
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import STAGES
from ingestion_pipeline.model.tasks import Backend

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.work import WorkReport

FLAME_GRAPH = "profile.html"
STAGE_TABLE = "stages.md"
INTERVAL_SECONDS = 0.002


def require_idle(client: IngestionClient, folder: Path) -> None:
    """Make sure that the work would be done here, and that its profile can be written.

    Raises:
        PermanentError: of kind ``invalid_option`` if Dagster would carry it out, or there is a
            file where the folder should be.
    """
    if client.backend() is Backend.DAGSTER:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            "--profile looks at the work in this process, but the services are running and would "
            "take it: stop them, or set INGEST_STATE_DIR to another folder",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermanentError(
            ErrorKind.INVALID_OPTION, f"--profile {folder}: {error.strerror}; name a folder"
        ) from error


def work_profiled(client: IngestionClient, task_ids: Sequence[str], folder: Path) -> None:
    """Do the work here, and write into ``folder`` where its time went.

    Child processes (parsers, builds' groupings) appear as the time that is spent waiting for them.
    """
    from pyinstrument import Profiler

    profiler = Profiler(interval=INTERVAL_SECONDS)
    with profiler:
        reports = client.work_here(task_ids)
    (folder / FLAME_GRAPH).write_text(profiler.output_html(), encoding="utf-8")
    (folder / STAGE_TABLE).write_text(stage_table(reports), encoding="utf-8")
    tell(f"where the time went: {folder / FLAME_GRAPH} and {folder / STAGE_TABLE}")


def stage_table(reports: Sequence[WorkReport]) -> str:
    """Render seconds by stage as Markdown; the rest is reading and keeping the books."""
    total = sum(report.seconds for report in reports)
    by_stage = {stage: sum(report.stage_seconds[stage] for report in reports) for stage in STAGES}
    documents = sum(report.documents for report in reports)
    rows = [
        f"| {name} | {seconds:.2f} | {seconds / total if total else 0:.0%} | "
        f"{seconds / documents * 1000 if documents else 0:.1f} |"
        for name, seconds in [
            *((stage.value, seconds) for stage, seconds in by_stage.items()),
            ("book-keeping", total - sum(by_stage.values())),
            ("**all**", total),
        ]
    ]
    head = f"| {documents} documents | seconds | share | ms a document |\n|---|---|---|---|"
    return "\n".join([head, *rows, ""])
