"""Jobs that tell where they are carried out, and whether anybody hears that they are."""

import json
import os
import time
from pathlib import Path

import dagster as dg

from ingestion_pipeline.execution.executor import beating_executor


@dg.op(config_schema={"folder": str, "hold": bool})
def wait(context: dg.OpExecutionContext) -> None:
    """Write down who is at work; if told so, go on when that file is gone."""
    config = context.op_config
    file = Path(config["folder"]) / context.run_id
    aside = file.with_suffix(".new")
    aside.write_text(json.dumps({"pid": os.getpid(), "parent": os.getppid(), "at": time.time()}))
    aside.rename(file)
    while config["hold"] and file.exists():
        time.sleep(0.02)


@dg.job(executor_def=beating_executor)
def waiting_job() -> None:
    """See above."""
    wait()


@dg.op
def listen() -> str:
    """Return which process says that this run is alive."""
    from ingestion_pipeline.errors import TransientError
    from ingestion_pipeline.execution.signals import run_signals

    run_id = dg.OpExecutionContext.get().run_id
    try:
        while (found := run_signals().silence(run_id)) is None:
            time.sleep(0.01)
    except TransientError:
        return "nobody"
    return found[1]


@dg.job(executor_def=beating_executor)
def listening_job() -> None:
    """See above."""
    listen()


@dg.op
def fail() -> None:
    """Do so."""
    raise ValueError


@dg.job(executor_def=beating_executor)
def failing_job() -> None:
    """A job that always fails."""
    fail()
