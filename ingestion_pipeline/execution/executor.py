"""The executor of all jobs: in the run's own process, with a heartbeat.

The process that owns a lease must do the work itself, so there are no further ones for the steps.
While they run a thread says every second that the process lives, whoever launched it: by this the
run monitor tells a killed process from a busy one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.tasks.process import own_identity

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
GOODBYE_SECONDS = 1.0
"""How long the end of a run waits for its last message to Redis."""


class BeatingExecutor(InProcessExecutor):
    """Dagster's in-process executor with a heartbeat."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Execute the steps one after the other."""
        with beating(plan_context.run_id):
            yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def beating_executor(_: dg.InitExecutorContext) -> BeatingExecutor:
    """Execute all steps in the process of the run, which says that it is alive."""
    return BeatingExecutor(retries=RetryMode.ENABLED)


@contextmanager
def beating(run_id: str) -> Iterator[None]:
    """Beat until the block is left. That Redis is away cannot stop the work."""
    stop = threading.Event()
    thread = threading.Thread(target=_beat, args=(run_id, stop), name="run-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(GOODBYE_SECONDS)


def _beat(run_id: str, stop: threading.Event) -> None:
    from ingestion_pipeline.execution.signals import run_signals

    signals, process = run_signals(), own_identity()
    warned = False
    while True:
        try:
            signals.beat(run_id, process)
        except IngestError as error:
            if not warned:
                logger.warning("no heartbeat of the run can be sent; the work goes on: %s", error)
            warned = True
        if stop.wait(BEAT_SECONDS):
            break
    with suppress(IngestError):
        signals.forget(run_id)
