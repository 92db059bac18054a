"""Commands about backups: backup, restore."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestion_pipeline.cli.common import JsonOption, show, tell
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.settings import Settings

if TYPE_CHECKING:
    from ingestion_pipeline.storage import ObjectStore
    from ingestion_pipeline.tasks.backup_format import Manifest

PLACE = "A folder, or s3://bucket/prefix."


def backup(
    dest: Annotated[str, typer.Argument(metavar="DEST", help=f"{PLACE} It must be empty.")],
    as_json: JsonOption = False,
) -> None:
    """Copy everything that cannot be made again; the system may be at work meanwhile."""
    from ingestion_pipeline.tasks.backup import back_up

    manifest = back_up(IngestionClient().services, _place(dest), tell)
    if manifest.missing:
        tell(
            f"{len(manifest.missing)} source files that the registry names are missing or damaged, "
            f"the first of them {manifest.missing[0]}: submit these documents again"
        )
    _show({"destination": dest} | _described(manifest), as_json)


def restore(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=PLACE)],
    as_json: JsonOption = False,
) -> None:
    """Fill an empty state from a backup; what was in work then is taken up by the next start."""
    from ingestion_pipeline.execution.instance import open_instance
    from ingestion_pipeline.execution.runs import daemon_is_alive
    from ingestion_pipeline.tasks import restore as restoring

    settings = Settings()
    if daemon_is_alive(open_instance()):
        raise PermanentError(
            ErrorKind.UNAVAILABLE,
            f"services work on {settings.state}: stop them, a backup is restored while none do",
        )
    restored = restoring.restore(IngestionClient().services, _place(source), tell)
    if restored.manifest.embedding_model != settings.embedding_model:
        tell(
            f"the backup was taken with INGEST_EMBEDDING_MODEL={restored.manifest.embedding_model},"
            " here it is another one: set it, or `ingest reindex`"
        )
    for key, reason in restored.not_compared.items():
        tell(f"{key}: its index could not be compared with the registry: {reason}")
    value = _described(restored.manifest) | {
        "source": source,
        "differences": restored.differences,
        "waiting": restored.waiting,
    }
    _show(value, as_json)


def _place(address: str) -> ObjectStore:
    """Open a store; unlike those of settings, a relative folder starts at the current one."""
    from ingestion_pipeline.storage import open_store

    return open_store(address if "://" in address else str(Path(address).resolve()))


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "taken_at": datetime.fromtimestamp(manifest.taken_at, UTC).isoformat(),
        "collections": list(manifest.collections),
        "documents": manifest.documents,
        "tasks": manifest.tasks,
        "files": manifest.files,
        "bytes": manifest.bytes,
        "missing": list(manifest.missing),
    }


def _show(value: dict[str, Any], as_json: bool) -> None:
    def render() -> None:
        for key, shown in value.items():
            text = ", ".join(shown) or "none" if isinstance(shown, list) else shown
            typer.echo(f"{key:12} {text}")

    show(value, as_json, render)
