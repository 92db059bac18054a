"""The queues through which runs reach workers, by what a run needs of its machine.

Belongs here: their names and tags, and the names of jobs that are told from others. Does not belong
here: how many runs may be in one (the run coordinator), and any order within them: runs wait in
Dagster's queue, which knows priorities.
"""

from __future__ import annotations

from enum import StrEnum

from ingestion_pipeline.model.tasks import TaskType

QUEUE_TAG = "dagster-celery/queue"
"""Of a job or a run: the queue it goes to. As dagster-celery calls it, which is slow to import."""
TENANT_TAG = "ingestion/tenant"
JOB_TAG = "ingestion/job"
"""Of a run: what kind of work it does. The three tags are what limits count by."""
LAUNCHER_TAG = "ingestion/launcher"
BUILD_JOBS = {
    TaskType.RAPTOR: "raptor_job",
    TaskType.GRAPHRAG: "graph_job",
    TaskType.MINDMAP: "mindmap_job",
    TaskType.DATAFLOW: "dry_run_job",
}
"""The jobs that build something of a collection as a whole, or try something on it; see
``defs.knowledge`` and ``defs.dataflow``."""
PIPELINE_TAG = "ingestion/pipeline"
"""Of a run: the pipeline whose documents it takes."""
PIPELINE_ASSETS = "dataflow"
"""The group of the assets of pipelines, and the first part of their keys; see ``defs.dataflow``."""
OFFER_TAG = "ingestion/offer"
"""Of a run that was offered to workers: under which number."""


class Queue(StrEnum):
    """What the worker needs."""

    EMBED = "ingest.embed"
    """An embedding model in memory."""
    CPU = "ingest.cpu"
    """Nothing but a processor."""


class Launcher(StrEnum):
    """Who started a run."""

    WORKER = "worker"
    """A worker, in a process that was warm."""
    PROCESS = "process"
    """Dagster's own launcher, in a new process."""
