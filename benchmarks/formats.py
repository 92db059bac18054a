"""Ingest a folder of real files and write what became of each kind of file into the documentation.

The tables go between comments of ``docs/formats.md``: files by ending and how they ended, and the
reasons of those that failed or ask something. Everything is done in a state folder of its own.

    python benchmarks/formats.py FOLDER
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pages import inserted

from ingestion_pipeline import IngestionClient
from ingestion_pipeline.model.documents import Document, DocumentState
from ingestion_pipeline.model.tasks import Task, TaskState

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
OUTCOMES_HEAD = (
    "| ending | files | succeeded | asks | failed | chunks | slowest, s |\n"
    "|---|---|---|---|---|---|---|\n"
)
REASONS_HEAD = "| ended | kind | what was said | files |\n|---|---|---|---|\n"


def main() -> None:
    """Ingest the folder, then write the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("folder", type=Path)
    folder: Path = arguments.parse_args().folder
    with tempfile.TemporaryDirectory() as state:
        os.environ["INGEST_STATE_DIR"] = state
        began = time.monotonic()
        tasks, documents = ingest(folder)
        seconds = time.monotonic() - began
    page = PAGE.read_text(encoding="utf-8")
    summary = (
        f"\n{len(tasks)} files and {len(documents) - len(tasks)} attached ones, "
        f"{seconds:.0f} s in all.\n"
    )
    page = inserted(page, "outcomes", outcome_table(tasks, documents) + summary)
    page = inserted(page, "reasons", reason_table(tasks, documents))
    PAGE.write_text(page, encoding="utf-8")
    for task in tasks:
        if not task.state.final and task.state is not TaskState.INPUT:
            raise SystemExit(f"{task.task_id} is still {task.state}")


def ingest(folder: Path) -> tuple[Sequence[Task], Sequence[Document]]:
    """Ingest every file below a folder, each by itself; return tasks and documents."""
    client = IngestionClient()
    tasks = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        task = client.launch_task(path, collection="formats")
        client.work_here([task.task_id])
        tasks.append(client.get_task(task.task_id))
        print(f"{tasks[-1].state:10} {path.relative_to(folder)}", flush=True)
    return tasks, client.services.registry.documents.find("formats")


def outcome_table(tasks: Sequence[Task], documents: Sequence[Document]) -> str:
    """Render how files ended, by the ending of their names, as Markdown."""
    by_id = {document.document_id: document for document in documents}
    groups: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        groups[ending(by_id[task.document_id or ""].name)].append(task)
    return OUTCOMES_HEAD + "".join(
        f"| {name} | {len(group)} "
        f"| {count(group, TaskState.SUCCEEDED)} | {count(group, TaskState.INPUT)} "
        f"| {count(group, TaskState.FAILED, TaskState.TIMEOUT)} "
        f"| {sum(by_id[task.document_id or ''].chunks or 0 for task in group)} "
        f"| {max(map(seconds_of, group)):.1f} |\n"
        for name, group in sorted(groups.items())
    )


def reason_table(tasks: Iterable[Task], documents: Iterable[Document]) -> str:
    """Render why files failed, or what is asked about them, as Markdown."""
    reasons: Counter[tuple[str, str, str]] = Counter()
    for document in documents:
        if document.state is DocumentState.FAILED and document.error:
            said = document.error.message.replace(document.name, "NAME").replace("|", "\\|")
            reasons["failed", document.error.kind, said] += 1
    for task in tasks:
        if task.state is TaskState.INPUT and task.question:
            said = f"asks for {task.question.asks}: {task.question.doubt.message}"
            reasons["asks", task.question.doubt.kind, said] += 1
    return REASONS_HEAD + "".join(
        f"| {ended} | {kind} | {said} | {number} |\n"
        for (ended, kind, said), number in sorted(reasons.items())
    )


def ending(name: str) -> str:
    """Return the ending of a file's name, or a dash."""
    return PurePosixPath(name).suffix.lower() or "-"


def count(tasks: Iterable[Task], *states: TaskState) -> int:
    """Return how many tasks ended so."""
    return sum(task.state in states for task in tasks)


def seconds_of(task: Task) -> float:
    """Return how long a task was worked on; 0 for one that was not."""
    if task.started_at is None or task.finished_at is None:
        return 0.0
    return task.finished_at - task.started_at


if __name__ == "__main__":
    main()
