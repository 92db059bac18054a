"""How the message queue between launcher and workers is set up, at both ends.

Belongs here: Celery's configuration. Does not belong here: who sends (``launcher``), who works
(``worker``). Celery is transport only: messages are acknowledged when they are fetched, results
are not kept, and nothing is delivered twice; what dies is recovered by heartbeats and leases.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from ingestion_pipeline.execution.queues import Queue
from ingestion_pipeline.settings import Settings
from ingestion_pipeline.streams.signals import QUEUE_PREFIX

EXECUTE_RUN = "ingest.execute_run"
"""The name of the one task there is."""


def broker_url(settings: Settings) -> str:
    """Return the URL of Redis as kombu writes it: sockets are ``redis+socket://``."""
    url = urlsplit(settings.redis_address)
    if url.scheme != "unix":
        return settings.redis_address
    options = dict(parse_qsl(url.query))
    account = f"{url.netloc.rpartition('@')[0]}@" if "@" in url.netloc else ""
    query = urlencode({"virtual_host": options["db"]}) if "db" in options else ""
    return f"redis+socket://{account}{unquote(url.path)}" + (f"?{query}" if query else "")


def configuration() -> dict[str, Any]:
    """Return Celery's settings, the same for launcher and workers."""
    from kombu.entity import Queue as Declared

    return {
        "task_queues": [Declared(queue.value) for queue in Queue],  # type: ignore[no-untyped-call]
        "task_create_missing_queues": False,
        "task_default_queue": Queue.EMBED.value,
        "task_acks_late": False,
        "task_ignore_result": True,
        "task_queue_max_priority": None,  # runs wait in Dagster's queue, which knows priorities
        "task_default_priority": None,
        "broker_transport_options": {
            "global_keyprefix": QUEUE_PREFIX,
            "visibility_timeout": 7 * 86_400,  # longer than an offer lives: nothing comes twice
            "max_retries": 1,  # of sending; without Redis, Dagster's own launcher has the run
            "interval_start": 0,
            "interval_max": 0.2,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,  # else a busy worker takes what an idle one could do
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_prefetch_count_reduction": False,
        "worker_lost_wait": 1.0,  # for a result of a dead process; so long its place is taken
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_proc_alive_timeout": 60.0,
    }
