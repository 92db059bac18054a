"""The run launcher: a run goes to a warm worker, or to a process of its own where there is none.

Belongs here: who gets a run, how it is stopped, whether it is alive. Does not belong here: how many
runs there may be at a time (``coordinator``), what a worker does with one (``worker``).

dagster-celery's launcher with its faults mended: a run is offered, and one that nobody accepts in
time is taken back and offered again; a cancellation is reported first, so that it ends as one; a
run is alive as long as its own process says so, and not by what Celery believes of its message.
"""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Any, Self

from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from dagster_celery.launcher import CeleryRunLauncher
from kombu.exceptions import KombuError

from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.execution.broker import EXECUTE_RUN, broker_url, configuration
from ingestion_pipeline.execution.queues import (
    LAUNCHER_TAG,
    OFFER_TAG,
    QUEUE_TAG,
    Launcher,
    Queue,
)
from ingestion_pipeline.execution.signals import run_signals
from ingestion_pipeline.execution.workers import live_workers
from ingestion_pipeline.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun
    from dagster._serdes import ConfigurableClassData

logger = logging.getLogger(__name__)

ACCEPT_SECONDS = 5.0
"""How long a worker may take to accept a run; one that is idle takes milliseconds."""
OFFERS = 2
"""How often a run is offered before it gets a process of its own."""
SILENCE_SECONDS = 8.0
"""After so long without a beat (there is one a second) the process of a run counts as dead."""


class WorkerRunLauncher(CeleryRunLauncher):
    """Launches runs on workers, and by Dagster's default launcher where no worker is alive."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(
            default_queue=Queue.EMBED,
            broker=broker_url(Settings()),
            inst_data=inst_data,
        )
        self.celery.conf.update(configuration())
        self._processes = DefaultRunLauncher()

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured: where Redis is follows from the settings."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> Self:  # noqa: ARG003
        """Make the launcher."""
        return cls(inst_data)

    def register_instance(self, instance: DagsterInstance) -> None:
        """Give the instance to both launchers."""
        super().register_instance(instance)
        self._processes.register_instance(instance)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Offer the run to workers, and start a process where none accepts it."""
        run = context.dagster_run
        for _ in range(OFFERS):
            if not self._has_worker(run):
                break
            if self._is_accepted(run):
                return
        self._instance.add_run_tags(run.run_id, {LAUNCHER_TAG: Launcher.PROCESS.value})
        self._processes.launch_run(context)

    def _has_worker(self, run: DagsterRun) -> bool:
        return any(_queue(run) in worker.queues for worker in live_workers())

    def _is_accepted(self, run: DagsterRun) -> bool:
        """Offer a run once; whether a worker has it now."""
        signals, offer_id = run_signals(), uuid.uuid4().hex
        tags = {LAUNCHER_TAG: Launcher.WORKER.value, OFFER_TAG: offer_id}
        self._instance.add_run_tags(run.run_id, tags)  # first: it may be over in no time
        try:
            signals.offer(offer_id)
        except TransientError:
            return False  # nothing was sent
        try:
            self.celery.send_task(
                EXECUTE_RUN, (run.run_id, offer_id), task_id=run.run_id, queue=_queue(run)
            )
            is_accepted = signals.was_accepted(offer_id, ACCEPT_SECONDS)
            reason = f"No worker accepted the run in {ACCEPT_SECONDS:g} s"
        except (TransientError, KombuError) as error:
            is_accepted, reason = False, f"The run could not be offered to workers ({error})"
        if is_accepted:
            return True
        # Raises when Redis is away: the run must not be started a second time. Dagster retries it.
        if not signals.withdraw(offer_id):
            return True  # just now
        message = f"{reason}; the offer is withdrawn."
        self._instance.report_engine_event(message, run, cls=type(self))
        return False

    def terminate(self, run_id: str) -> bool:
        """Stop a run; False if it ended already."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.tags.get(LAUNCHER_TAG) != Launcher.WORKER:
            return bool(self._processes.terminate(run_id))  # type: ignore[no-untyped-call]
        # First, so that the run ends as canceled, and is not tried again.
        self._instance.report_run_canceling(run)
        signals = run_signals()
        signals.ask_to_stop(run_id)
        if signals.withdraw(run.tags[OFFER_TAG]):
            self._instance.report_run_canceled(run, "The run was canceled before it began.")
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Say whether the process of a run is alive, whoever launched it.

        Every run of a worker beats; if one was never heard, its silence counts from the first
        question. Of a process nobody knows: the jobs of other code locations do not beat.
        """
        signals = run_signals()
        try:
            if run.tags.get(LAUNCHER_TAG) == Launcher.WORKER:
                signals.expect(run.run_id)
            found = signals.silence(run.run_id)
        except TransientError as error:
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"nobody can be asked: {error}")
        if found is None or found[0] < SILENCE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        silent, process = found
        return CheckRunHealthResult(
            WorkerStatus.FAILED, f"its process {process} has been silent for {silent:.0f} s"
        )

    def get_run_worker_debug_info(
        self,
        run: DagsterRun,
        include_container_logs: bool | None = True,  # noqa: ARG002
    ) -> str | None:
        """Say who launched a run, and which process it is or was in."""
        launcher = run.tags.get(LAUNCHER_TAG)
        try:
            found = run_signals().silence(run.run_id)
        except TransientError:
            found = None
        return f"launched by: {launcher}; process: {found[1] if found else 'unknown'}"

    @property
    def supports_resume_run(self) -> bool:
        """No: steps are in the run's process, so a run is retried as a whole, as another run."""
        return False


def _queue(run: DagsterRun) -> str:
    return run.tags.get(QUEUE_TAG, Queue.EMBED.value)
