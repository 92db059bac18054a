"""One run of a collection in a process of its own: ``python run_once.py SETTINGS COLLECTION``.

Prints how many documents it published. Dagster cannot start two runs at once in threads of one
process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg

from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.settings import Settings
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import Lab

if __name__ == "__main__":
    with ParserPool(1, 30, 2 * 1024**3) as parsers, dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PARTITIONS_NAME, [sys.argv[2]])
        services = FakeServices(Settings.model_validate_json(sys.argv[1]), parsers)
        lab = Lab(services, instance, Path.cwd())
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        ran = lab.run(collection=sys.argv[2])
        print(ran.computed()["vector_index"], ran.success)  # noqa: T201
