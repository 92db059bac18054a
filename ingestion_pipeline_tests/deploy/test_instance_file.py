"""``deploy/dagster.yaml`` beside the project's own, and with real servers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import sqlalchemy as sa
import yaml
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from ingestion_pipeline.execution.coordinator import WorkerRunCoordinator
from ingestion_pipeline.execution.launcher import WorkerRunLauncher
from ingestion_pipeline.settings import project_dir

pytestmark = pytest.mark.xdist_group("servers")

DEPLOY = project_dir() / "deploy"
OTHERWISE = {"storage", "compute_logs"}
"""What is elsewhere on several hosts; everything else is as on one."""
ADDED: dict[str, Any] = {
    "run_coordinator": {
        "tag_concurrency_limits": [
            {
                "key": "ingestion/tenant",
                "value": {"applyLimitPerUniqueValue": True},
                "limit": 8,
            }
        ]
    }
}
"""By section: what its configuration says on several hosts only."""


def sections(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((folder / "dagster.yaml").read_text())
    return loaded


@pytest.mark.parametrize("section", sorted(sections(project_dir())))
def test_the_two_files_differ_where_several_hosts_need_it_and_nowhere_else(section: str) -> None:
    one_host, several = sections(project_dir())[section], sections(DEPLOY)[section]

    if section in OTHERWISE:
        assert several != one_host
    elif section in ADDED:
        assert several == one_host | {"config": one_host["config"] | ADDED[section]}
    else:
        assert several == one_host


def test_the_two_files_have_the_same_sections() -> None:
    assert set(sections(DEPLOY)) == set(sections(project_dir()))


@pytest.fixture
def instance(environment: dict[str, str]) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        yield instance


def test_events_are_in_postgresql_and_what_a_run_printed_is_in_the_bucket(
    instance: dg.DagsterInstance, environment: dict[str, str]
) -> None:
    @dg.asset
    def something() -> int:
        print("a line for the compute log")  # noqa: T201
        return 1

    result = dg.materialize([something], instance=instance)

    bucket = environment["INGEST_DAGSTER_LOGS_BUCKET"]
    engine = sa.create_engine(environment["INGEST_DAGSTER_DATABASE_URL"])
    with engine.connect() as connection:
        query = sa.text("SELECT dagster_event_type FROM event_logs WHERE run_id = :run")
        events = set(connection.scalars(query, {"run": result.run_id}))
    engine.dispose()
    assert {"PIPELINE_START", "ASSET_MATERIALIZATION", "PIPELINE_SUCCESS"} <= events
    assert isinstance(instance.compute_log_manager, S3ComputeLogManager)
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    texts = {
        entry["Key"]: boto3.client("s3").get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        for entry in listed
    }
    folder = f"compute_logs/storage/{result.run_id}/compute_logs/"
    assert all(key.startswith(folder) for key in texts)
    assert b"a line for the compute log\n" in texts.values()


def test_runs_go_to_workers_and_every_tenant_has_its_share(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.run_launcher, WorkerRunLauncher)
    assert isinstance(instance.run_coordinator, WorkerRunCoordinator)
    config = instance.get_concurrency_config().run_queue_config
    assert config is not None
    assert config.max_concurrent_runs == 2
    assert [limit["key"] for limit in config.tag_concurrency_limits] == ["ingestion/tenant"]


def test_nothing_is_written_beside_the_file(
    instance: dg.DagsterInstance, environment: dict[str, str]
) -> None:
    instance.get_runs()

    assert [path.name for path in Path(environment["DAGSTER_HOME"]).iterdir()] == ["dagster.yaml"]
