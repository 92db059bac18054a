"""Alerts: what somebody should hear of, once, and handing it to where they asked for it.

Belongs here: what gives reason to an alert, a pure decision (``plan``), and sending. Does not
belong here: what Dagster knows (``execution.finished``), when to look (``defs.operations``).

A run and its retries are one thing, told of when nobody tries again. A check and a threshold are
told of when they begin to fail, and again only after they were good. Nothing is sent to anyone
unless ``INGEST_ALERT_WEBHOOK_URL`` is set; the log has every alert.
"""

from __future__ import annotations

import json
import logging
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.model.collections import AlertsConfig
from ingestion_pipeline.registry.figures import (
    Failed,
    Waiting,
    failed_documents,
    waiting_documents,
)
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

RUNS_REMEMBERED = 500
UNSENT_KEPT = 100
"""Alerts that wait for a webhook that does not answer; then the oldest go, which the log has."""
ATTEMPTS = 3
TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.5
FAILED, WAITING = "documents", "waiting"
"""What keys of thresholds begin with."""


class Reason(StrEnum):
    """What an alert is about."""

    RUN_FAILED = "run_failed"
    CHECK_FAILED = "check_failed"
    DOCUMENTS_FAILED = "documents_failed"
    DOCUMENTS_WAITING = "documents_waiting"


class Alert(BaseModel):
    """What is sent, as JSON."""

    model_config = ConfigDict(frozen=True)

    reason: Reason
    key: str
    """The same for the same thing."""
    text: str
    """One line for a person; it quotes no document."""
    collection: str | None = None
    run_id: str | None = None
    at: float
    """Unix seconds."""


class CheckResult(BaseModel):
    """How a check went; a warning counts as good."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Of asset, check and partition."""
    collection: str | None
    good: bool
    text: str


class FinishedRun(BaseModel):
    """A run that ended."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    root_run_id: str
    job: str
    collection: str | None
    failed: bool
    will_retry: bool
    checks: tuple[CheckResult, ...] = ()


class Watch(BaseModel):
    """What is known from one look to the next."""

    model_config = ConfigDict(frozen=True)

    seen_until: float | None = None
    """When the last run ended that was looked at; None before the first look."""
    failing: tuple[str, ...] = ()
    """Checks and thresholds that somebody heard of and that are not good again."""
    runs: tuple[str, ...] = ()
    """Root runs that somebody heard of."""
    unsent: tuple[Alert, ...] = ()


def plan(
    watch: Watch,
    runs: Iterable[FinishedRun],
    reached: Sequence[Alert],
    now: float,
) -> tuple[list[Alert], Watch]:
    """Decide what somebody should hear of, given what ended since and which limits are reached.

    A run that failed because a check did is not told of beside it. A threshold that is not among
    those ``reached`` is good again, or was taken away.
    """
    failing = dict.fromkeys(watch.failing)
    told = dict.fromkeys(watch.runs)
    alerts: list[Alert] = []

    def check(key: str, alert: Alert | None) -> None:
        if alert is None:
            failing.pop(key, None)
        elif key not in failing:
            failing[key] = None
            alerts.append(alert)

    for run in runs:
        for each in run.checks:
            alert = Alert(
                reason=Reason.CHECK_FAILED,
                key=each.key,
                text=each.text,
                collection=each.collection,
                run_id=run.run_id,
                at=now,
            )
            check(each.key, None if each.good else alert)
        if run.failed and not run.will_retry and run.root_run_id not in told:
            told[run.root_run_id] = None
            if all(each.good for each in run.checks):
                alerts.append(_of_run(run, now))
    for threshold in reached:
        check(threshold.key, threshold)
    now_reached = {threshold.key for threshold in reached}
    still = [
        key
        for key in failing
        if not key.startswith((f"{FAILED}:", f"{WAITING}:")) or key in now_reached
    ]
    return alerts, watch.model_copy(
        update={"failing": tuple(still), "runs": tuple(told)[-RUNS_REMEMBERED:]}
    )


def _of_run(run: FinishedRun, now: float) -> Alert:
    where = f" of collection {run.collection}" if run.collection else ""
    return Alert(
        reason=Reason.RUN_FAILED,
        key=f"run:{run.root_run_id}",
        text=f"run {run.run_id[:8]} of {run.job}{where} failed, and nobody tries it again",
        collection=run.collection,
        run_id=run.run_id,
        at=now,
    )


def reached_limits(
    limits: Mapping[str, AlertsConfig],
    failed: Iterable[Failed],
    waiting: Iterable[Waiting],
    now: float,
) -> Iterator[Alert]:
    """Yield what would be told of each limit that a collection has reached, given its figures."""
    for each in failed:
        limit = limits.get(each.collection_key)
        if limit is not None and _too_many_failed(each, limit):
            yield Alert(
                reason=Reason.DOCUMENTS_FAILED,
                key=f"{FAILED}:{each.collection_key}",
                text=f"collection {each.collection_key}: {each.failed} of {each.total} documents "
                "failed; `ingest documents` has the reasons",
                collection=each.collection_key,
                at=now,
            )
    for those in waiting:
        limit = limits.get(those.collection_key)
        longest = None if limit is None else limit.waiting_seconds
        if longest is not None and those.oldest_seconds > longest:
            age = timedelta(seconds=round(those.oldest_seconds))
            yield Alert(
                reason=Reason.DOCUMENTS_WAITING,
                key=f"{WAITING}:{those.collection_key}",
                text=f"collection {those.collection_key}: a document waits for {age} for being "
                f"indexed, {those.documents} wait in all; `ingest status` shows whether all parts "
                "work, `ingest tasks` what is under way",
                collection=those.collection_key,
                at=now,
            )


def _too_many_failed(failed: Failed, limits: AlertsConfig) -> bool:
    number, share = limits.failed_documents, limits.failed_share
    too_many = number is not None and failed.failed >= number
    return too_many or (share is not None and failed.failed >= max(1.0, share * failed.total))


def reached_now(services: Services, now: float) -> list[Alert]:
    """Return what would be told of each limit that a collection has reached by now.

    It is one query for each kind of limit that any collection has.
    """
    registry = services.registry
    limits = {each.key: each.config.alerts for each in registry.collections.all()}
    of_failed = any(each.of_failed for each in limits.values())
    of_waiting = any(each.waiting_seconds is not None for each in limits.values())
    failed = failed_documents(registry.database) if of_failed else ()
    waiting = waiting_documents(registry.database) if of_waiting else ()
    return list(reached_limits(limits, failed, waiting, now))


def send(settings: Settings, alerts: Sequence[Alert], watch: Watch) -> Watch:
    """Log new alerts, and hand them to the webhook with those it did not take before.

    Where it does not answer they stay for the next time, and keep nothing else back.
    """
    for alert in alerts:
        logger.warning("alert (%s): %s", alert.reason, alert.text)
    secret = settings.alert_webhook_url
    if secret is None:
        return watch.model_copy(update={"unsent": ()})
    waiting = [*watch.unsent, *alerts]
    while waiting:
        try:
            _post(secret.get_secret_value(), waiting[0])
        except TransientError as error:
            logger.warning("%d alerts are sent later: %s", len(waiting), error)
            break
        except PermanentError as error:
            logger.error("an alert is not sent: %s", error)  # noqa: TRY400 - its message says all
        waiting.pop(0)
    return watch.model_copy(update={"unsent": tuple(waiting[-UNSENT_KEPT:])})


def _post(url: str, alert: Alert) -> None:
    """Send one alert; no message tells the address, which may hold a secret.

    Raises:
        PermanentError: of kind ``invalid_option`` when it is refused, or the address is none.
        TransientError: of kind ``unavailable`` when nobody answers, several times.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise PermanentError(
            ErrorKind.INVALID_OPTION, "INGEST_ALERT_WEBHOOK_URL is no http(s) address"
        )
    body = alert.model_dump_json().encode()
    headers = {"Content-Type": "application/json", "User-Agent": "ingestion-pipeline"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code != 429:
                raise PermanentError(
                    ErrorKind.INVALID_OPTION, f"the webhook answers with status {error.code}"
                ) from None
            reason = f"status {error.code}"
        except OSError as error:
            reason = type(error).__name__
        if attempt < ATTEMPTS:
            time.sleep(PAUSE_SECONDS * attempt)
    raise TransientError(ErrorKind.UNAVAILABLE, f"the webhook does not take it ({reason})")


def loaded(cursor: str | None) -> Watch:
    """Read what was known at the last look; what cannot be read begins anew."""
    try:
        return Watch.model_validate(json.loads(cursor)) if cursor else Watch()
    except ValueError:
        return Watch()
