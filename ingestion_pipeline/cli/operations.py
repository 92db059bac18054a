"""Commands about the running system: up, status, workers, operations, dead-letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from ingestion_pipeline.cli.common import (
    TENANT,
    CollectionOption,
    JsonOption,
    TenantOption,
    show,
    table,
    tell,
)
from ingestion_pipeline.cli.shapes import operation_json, worker_json
from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.settings import Settings


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the web page.")] = 3000,
    workers: Annotated[
        int, typer.Option(min=0, help="Whose processes stay warm between runs.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Start Redis (if none is set), Dagster's web page and daemon, workers; Ctrl-C stops them."""
    from ingestion_pipeline.execution.supervisor import services, wait_for_end

    settings = Settings()
    tell("starting …")
    try:
        with services(settings, port, workers) as (addresses, started):
            value = {
                "webserver": addresses.webserver,
                "redis": addresses.redis,
                "logs": str(addresses.logs),
            }
            show(value, as_json, lambda: _render_lines(value))
            tell("Ctrl-C stops everything.")
            try:
                wait_for_end(started)
            except KeyboardInterrupt:
                tell("stopping …")
    except KeyboardInterrupt:
        tell("stopped while starting")


def worker(
    queues: Annotated[
        str, typer.Option(metavar="NAME,…", help="Which runs to take, by what they need.")
    ] = ",".join(Queue),
    concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="Runs at a time; default: INGEST_WORKER_CONCURRENCY."),
    ] = None,
) -> None:
    """Carry out runs in processes that stay warm, until Ctrl-C; on as many machines as you like."""
    known = [queue.value for queue in Queue]
    chosen = [name.strip() for name in queues.split(",")]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise typer.BadParameter(f"there is no queue {unknown[0]!r}; there are {', '.join(known)}")
    from ingestion_pipeline.execution.worker import run_worker

    tell("Ctrl-C stops the worker; runs that take longer give back what they hold.")
    run_worker([Queue(name) for name in chosen], concurrency or Settings().worker_concurrency)


def status(as_json: JsonOption = False) -> None:
    """Show the health of every part."""
    from ingestion_pipeline.execution.instance import open_instance
    from ingestion_pipeline.execution.runs import count_runs, daemon_is_alive
    from ingestion_pipeline.execution.supervisor import webserver_answers

    client = IngestionClient()
    services = client.services
    instance = open_instance()
    runs = count_runs(instance)
    stream = _part(services.streams.status)
    beats = _part(services.heartbeats.all)
    backlog = _part(services.registry.documents.backlog)
    value: dict[str, Any] = {
        "redis": stream if isinstance(stream, str) else "ok",
        "database": backlog if isinstance(backlog, str) else "ok",
        "lancedb": _health(services.check_index),
        "daemon": "ok" if daemon_is_alive(instance) else "not running",
        "webserver": "ok" if webserver_answers(services.settings) else "not running",
        "workers": [] if isinstance(beats, str) else [worker_json(each) for each in beats],
        "stream": None
        if isinstance(stream, str)
        else {
            "length": stream.length,
            "pending": stream.pending,
            "lag": stream.lag,
            "dead": stream.dead,
        },
        "backlog": {}
        if isinstance(backlog, str)
        else {waiting.collection_key: waiting.documents for waiting in backlog},
        "runs": {"queued": runs.queued, "running": runs.running},
    }
    names = ", ".join(each["name"] for each in value["workers"])

    show(value, as_json, lambda: _render_lines(value | {"workers": names or "none at work"}))


def workers(as_json: JsonOption = False) -> None:
    """Show who is at work, by their last heartbeats."""
    found = [worker_json(each) for each in IngestionClient().services.heartbeats.all()]

    def render() -> None:
        columns = ("name", "ip", "pid#", "since", "last heard", "done#", "failed#", "now at#")
        table(
            columns,
            [
                (
                    each["name"],
                    each["ip"],
                    each["pid"],
                    each["boot_at"],
                    each["now"],
                    each["done"],
                    each["failed"],
                    len(each["current"]),
                )
                for each in found
            ],
        )

    show(found, as_json, render)


def operations(
    collection: CollectionOption, tenant: TenantOption = TENANT, as_json: JsonOption = False
) -> None:
    """Show the operation log of a collection, newest first."""
    registry = IngestionClient().services.registry
    name = registry.collections.get(CollectionName(tenant, collection).key).name
    found = registry.operations.latest(name)

    def render() -> None:
        table(
            ("began", "type", "name", "suffix", "state", "seconds#", "tokens#", "error"),
            [
                (
                    operation_json(each)["began_at"],
                    each.type,
                    each.name,
                    each.suffix,
                    each.state,
                    f"{each.seconds:.1f}",
                    each.tokens,
                    each.error_message,
                )
                for each in found
            ],
        )

    show([operation_json(each) for each in found], as_json, render)


def dead_letters(
    requeue: Annotated[str | None, typer.Option(metavar="ID", help="Send one once more.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the messages that could not be read, with the reasons."""
    streams = IngestionClient().services.streams
    if requeue is not None:
        streams.requeue(requeue)
        show({"requeued": requeue}, as_json, lambda: typer.echo(f"requeued {requeue}"))
        return
    letters = streams.dead_letters()

    def render() -> None:
        table(
            ("id", "first seen", "reason", "message"),
            [(each.id, each.first_seen, each.reason, each.message[:80]) for each in letters],
        )

    show([vars(letter) for letter in letters], as_json, render)


def _render_lines(value: Mapping[str, object]) -> None:
    for key, shown in value.items():
        typer.echo(f"{key:10} {shown}")


def _part(look: Callable[[], Any]) -> Any:
    """Look at a part; what is wrong with it is the finding."""
    try:
        return look()
    except IngestError as error:
        return error.message


def _health(look: Callable[[], object]) -> str:
    found = _part(look)
    return found if isinstance(found, str) else "ok"
