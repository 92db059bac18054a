"""The services as Dagster reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ingestion_pipeline.resources.services import S3Sources, ServicesResource
from ingestion_pipeline.storage.sources import fetch_source


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    yield f"http://{host}:{port}"
    server.stop()


def test_s3_sources_are_read_by_the_resource_of_dagster_aws(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path))
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="sources")
    client.put_object(Bucket="sources", Key="report.txt", Body=b"Travel is approved.")
    client.close()
    resource = ServicesResource(
        s3_sources=S3Sources(endpoint_url=endpoint, region_name="us-east-1")
    )

    services = resource.get()
    fetched = fetch_source("s3://sources/report.txt", services.source_policy)

    assert fetched.data == b"Travel is approved."
    services.close()


def test_services_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGEST_STATE_DIR", str(tmp_path))

    assert ServicesResource().get() is ServicesResource().get()
