"""The command that shows metrics."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Annotated

import typer

from ingestion_pipeline.cli.common import JsonOption, tell
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import ErrorKind, PermanentError


def metrics(
    serve: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="Answer on loopback.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Write a file instead, in one step (for node_exporter).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print metrics in the text format of Prometheus, once, or serve them until Ctrl-C."""
    from ingestion_pipeline.tasks import metrics as all_metrics

    services = IngestionClient().services
    if serve is not None and file is not None:
        raise typer.BadParameter("--serve and --file do not go together")
    if file is not None:
        all_metrics.write(services, file.resolve())
    elif serve is not None:
        try:
            with all_metrics.served(services, serve) as address:
                tell(f"{address} until Ctrl-C")
                signal.pause()
        except OSError as error:
            raise PermanentError(
                ErrorKind.UNAVAILABLE,
                f"port {serve} cannot be used ({error.strerror}): choose another one",
            ) from error
    elif as_json:
        typer.echo(json.dumps(all_metrics.samples(services), indent=2))
    else:
        typer.echo(all_metrics.text(services), nl=False)
