"""The command that does what the nightly maintenance does, here and now, or says what it would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestion_pipeline.cli.common import JsonOption, show, table, tell
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import ErrorKind, TransientError

if TYPE_CHECKING:
    from ingestion_pipeline.tasks.maintenance import Report

BYTES_PER_MEGABYTE = 1e6


def maintain(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing: say what would be removed.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what nobody needs any more, as every night: versions, results, bytes, old runs."""
    from ingestion_pipeline.execution.instance import open_instance
    from ingestion_pipeline.execution.upkeep import PARTS

    services = IngestionClient().services
    done: dict[str, Report] = {}
    for part in PARTS:
        tell(f"{part.name} …")
        done[part.name] = part.run(services, open_instance(), dry_run)

    def render() -> None:
        rows = [
            (name, figure, _shown(figure, value))
            for name, report in done.items()
            for figure, value in report.figures.items()
        ]
        table(("part", "would be" if dry_run else "figure", "#"), rows)

    value: Mapping[str, Any] = {
        name: {
            "figures": dict(report.figures),
            "details": [dict(row) for row in report.rows],
            "problems": list(report.problems),
        }
        for name, report in done.items()
    }
    show(value, as_json, render)
    failed = [name for name, report in done.items() if report.problems]
    for name in failed:
        for problem in done[name].problems:
            tell(f"{name}: {problem}")
    if failed:
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"{', '.join(failed)} could not do all their work: mend that, and do it again",
        )


def _shown(figure: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    if "bytes" in figure:
        return f"{value / BYTES_PER_MEGABYTE:,.1f} MB"
    return f"{value:,}"
