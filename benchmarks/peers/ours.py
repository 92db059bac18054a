"""This project: the assets of a collection, materialised by Dagster in this process."""

import os

from measured import Job, Report

COLLECTION = "compared"


def main() -> None:
    """Ingest every file."""
    job, report = Job.from_arguments(), Report()
    os.environ["INGEST_STATE_DIR"] = str(job.state)
    with report.loading():
        import dagster as dg

        from ingestion_pipeline.client import IngestionClient
        from ingestion_pipeline.control import NoControl
        from ingestion_pipeline.defs.build import build_defs
        from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
        from ingestion_pipeline.model.collections import CollectionConfig, CollectionName

        client = IngestionClient()
        known = client.services.registry.collections.create(
            CollectionName("default", COLLECTION), CollectionConfig(title_weight=0)
        )
        client.services.embedder(known).encode(["warm"] * 4, NoControl())
        ingest = build_defs().resolve_job_def("ingest_job")
    with report.working(), dg.DagsterInstance.ephemeral() as instance:
        client.launch_tasks([job.files], collection=COLLECTION)
        instance.add_dynamic_partitions(PARTITIONS_NAME, [known.key])
        ingest.execute_in_process(instance=instance, partition_key=known.key)
    index = client.services.index(known)
    report.print(index.uri, index.name, "text")


if __name__ == "__main__":
    main()
