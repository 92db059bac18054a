"""This project: the assets of a collection, materialised by Dagster in this process.

It imports what it needs when it needs it, so a first text is ingested before anything is measured,
as the others read a first one.
"""

import os
import tempfile
from pathlib import Path

from measured import Job, Report


def main() -> None:
    """Ingest every file."""
    job, report = Job.from_arguments(), Report()
    os.environ["INGEST_STATE_DIR"] = str(job.state)
    with report.loading(), tempfile.TemporaryDirectory() as folder:
        import dagster as dg

        from ingestion_pipeline.client import IngestionClient
        from ingestion_pipeline.defs.build import build_defs
        from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
        from ingestion_pipeline.model.collections import (
            Collection,
            CollectionConfig,
            CollectionName,
        )

        client = IngestionClient()
        config = CollectionConfig(title_weight=0)
        ingest = build_defs().resolve_job_def("ingest_job")

        def ingested(name: str, files: Path) -> Collection:
            known = client.services.registry.collections.create(
                CollectionName("default", name), config
            )
            with dg.DagsterInstance.ephemeral() as instance:
                client.launch_tasks([files], collection=name)
                instance.add_dynamic_partitions(PARTITIONS_NAME, [known.key])
                ingest.execute_in_process(instance=instance, partition_key=known.key)
            return known

        (Path(folder) / "first.txt").write_text("warm")
        ingested("warm", Path(folder))
    with report.working():
        known = ingested("compared", job.files)
    index = client.services.index(known)
    report.print(index.uri, index.name, "text")


if __name__ == "__main__":
    main()
