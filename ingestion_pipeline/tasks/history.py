"""What is over: forgetting it when it is old, and reporting what went wrong.

Belongs here: finished tasks and their log, messages that were refused, converted models that nobody
loads. Does not belong here: what collections have (``maintenance``), Dagster's own records
(``execution.housekeeping``).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.streams.tasks import DEAD_LIMIT, DeadLetter
from ingestion_pipeline.tasks.maintenance import SECONDS_PER_DAY, Report, Value
from ingestion_pipeline.tasks.services import Services

REASON_CHARACTERS = 32
"""A reason begins with its kind; what follows differs from message to message."""


def forget_tasks(services: Services, dry_run: bool) -> Report:
    """Forget tasks that ended longer ago than INGEST_HISTORY_DAYS, with their messages and log."""
    older_than = services.settings.history_days * SECONDS_PER_DAY
    forgotten = services.registry.retention.forget(older_than, dry_run=dry_run)
    return Report(
        {
            "tasks_forgotten": forgotten.tasks,
            "messages_forgotten": forgotten.messages,
            "operations_forgotten": forgotten.operations,
        }
    )


def sweep_models(services: Services, dry_run: bool) -> Report:
    """Remove converted embedding models that nobody has loaded for INGEST_HISTORY_DAYS."""
    from ingestion_pipeline.embedding import sweep_converted

    settings = services.settings
    folder = settings.converted_models_dir or settings.state / "embedding"
    swept = sweep_converted(folder, settings.history_days * SECONDS_PER_DAY, dry_run=dry_run)
    return Report({"models_removed": len(swept), "model_bytes_removed": sum(swept.values())})


def report_failures(services: Services) -> Report:
    """Report messages that were refused and tasks that failed, by reason, lately and altogether."""
    letters, problems = _dead_letters(services)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    kinds = [letter.reason.partition(":")[0][:REASON_CHARACTERS] for letter in letters]
    total = Counter(kinds)
    lately = Counter(
        kind for kind, letter in zip(kinds, letters, strict=True) if letter.first_seen >= yesterday
    )
    failed = services.registry.retention.failed_tasks(SECONDS_PER_DAY)
    rows: list[dict[str, Value]] = [
        {"what": "message refused", "reason": kind, "last_day": lately[kind], "total": number}
        for kind, number in total.most_common()
    ]
    rows += [
        {
            "what": "task failed",
            "reason": each.error_kind,
            "last_day": each.lately,
            "total": each.total,
        }
        for each in failed
    ]
    return Report(
        {
            "messages_refused_last_day": sum(lately.values()),
            "messages_refused": len(letters),
            "tasks_failed_last_day": sum(each.lately for each in failed),
            "tasks_failed": sum(each.total for each in failed),
        },
        rows,
        problems,
    )


def _dead_letters(services: Services) -> tuple[list[DeadLetter], list[str]]:
    """Return the messages that were refused, or why they cannot be had."""
    try:
        return services.streams.dead_letters(DEAD_LIMIT), []
    except TransientError as error:
        return [], [error.message]
