"""Reconciliation: making good what died, and ending what has run out of time.

Belongs here: what follows from a run that ended or fell silent while it held a batch, a pure
decision (``verdict``), and carrying it out. Does not belong here: asking Dagster (``execution``).
Each failure has exactly one recovery: a batch whose run Dagster retries is left to that retry.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ingestion_pipeline.registry.runs import RunRecord
from ingestion_pipeline.tasks.deletion import finish_deletions
from ingestion_pipeline.tasks.doubts import Settled, settle_doubts
from ingestion_pipeline.tasks.events import tell
from ingestion_pipeline.tasks.process import is_gone, kill
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

SILENT = "its lease lapsed: the process is gone, stopped or out of reach"


class Standing(StrEnum):
    """What Dagster knows of a run."""

    UNKNOWN = "unknown"
    """It is none of Dagster's, or its record was deleted."""
    ACTIVE = "active"
    RETRY_DUE = "retry_due"
    """It failed, and Dagster's own retry of it takes up its batch."""
    ENDED = "ended"
    CANCELED = "canceled"


class Verdict(StrEnum):
    """What becomes of a run's batch."""

    LEAVE = "leave"
    GIVE_BACK = "give_back"
    STOP_AND_GIVE_BACK = "stop_and_give_back"
    CANCEL = "cancel"


class Runs(Protocol):
    """What reconciliation asks of whoever executes runs."""

    def standings(self, run_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return what is known of each run."""

    def report_stopped(self, run_id: str, reason: str) -> None:
        """Have a run that does not answer be taken for ended."""


@dataclass(frozen=True)
class Reconciled:
    """What reconciliation did."""

    given_back: int
    canceled: int
    expired: int
    settled: Settled

    @property
    def summary(self) -> str:
        """Say it in one line."""
        return (
            f"{self.given_back} runs' batches given back, {self.canceled} stopped by a person; "
            f"{self.expired} tasks out of time; {self.settled.looked_at} documents compared, "
            f"{self.settled.removed} removed, {self.settled.adopted} recorded as they are, "
            f"{self.settled.to_republish} to be published again"
        )


def verdict(run: RunRecord, standing: Standing, *, gone: bool = False) -> Verdict:
    """Decide what becomes of a run that works, or that left something behind.

    ``gone`` says that its process is known to have ended. Of those that Dagster knows, Dagster is
    asked: it has noticed too, or is about to.
    """
    if standing is Standing.RETRY_DUE:
        return Verdict.LEAVE
    if standing is Standing.CANCELED:
        return Verdict.CANCEL if run.reason is None else Verdict.GIVE_BACK
    if standing is Standing.ENDED:
        return Verdict.GIVE_BACK
    if not (run.silent or (gone and standing is Standing.UNKNOWN)):
        return Verdict.LEAVE
    return Verdict.STOP_AND_GIVE_BACK if standing is Standing.ACTIVE else Verdict.GIVE_BACK


def reconcile(services: Services, runs: Runs) -> Reconciled:
    """Make good what died, end what ran out of time, repair what is in doubt, finish deletions."""
    registry = services.registry
    found = registry.runs.find()
    standings = runs.standings([run.run_id for run in found])
    verdicts = {
        run.run_id: verdict(
            run, standings.get(run.run_id, Standing.UNKNOWN), gone=is_gone(run.process)
        )
        for run in found
    }
    for run in found:
        if verdicts[run.run_id] is not Verdict.LEAVE:
            _carry_out(services, runs, run, verdicts[run.run_id])
    expired = registry.tasks.expire()
    tell(services.events, expired)
    stopped = cancel_stopped(services, runs)
    settled = settle_doubts(services)
    finish_deletions(services)
    decisions = list(verdicts.values())
    return Reconciled(
        given_back=decisions.count(Verdict.GIVE_BACK) + decisions.count(Verdict.STOP_AND_GIVE_BACK),
        canceled=decisions.count(Verdict.CANCEL) + stopped,
        expired=len(expired),
        settled=settled,
    )


def cancel_stopped(services: Services, runs: Runs) -> int:
    """Cancel what runs had that a person stopped between two steps; return how many runs.

    Within a step a run does that itself. Between two it holds nothing: a run that is planned before
    this is done would take its documents on.
    """
    found = services.registry.runs.between_steps()
    standings = runs.standings(found)
    stopped = [run_id for run_id in found if standings.get(run_id) is Standing.CANCELED]
    if stopped:
        logger.warning("%s stopped by a person between two steps", ", ".join(stopped))
        tell(services.events, services.registry.claims.cancel_runs(stopped))
    return len(stopped)


def _carry_out(services: Services, runs: Runs, run: RunRecord, decided: Verdict) -> None:
    registry = services.registry
    logger.warning("run %s left work behind: %s", run.run_id, decided)
    if decided is Verdict.CANCEL:
        updates = registry.claims.cancel_runs([run.run_id])
    else:
        if decided is Verdict.STOP_AND_GIVE_BACK:
            registry.runs.note_reason(run.run_id, SILENT)  # first: then no person stopped it
            runs.report_stopped(run.run_id, SILENT)
            kill(run.process)
        updates = registry.claims.give_back_crashed([run.run_id])
    tell(services.events, updates)
    registry.runs.forget(run.run_id)
