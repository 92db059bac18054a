from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.storage import factory, open_store
from ingestion_pipeline.storage.local import LocalStore
from ingestion_pipeline.storage.s3 import S3Store


def test_a_path_is_a_folder(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a folder"))
    assert isinstance(store, LocalStore)
    store.put("key", b"")
    assert (tmp_path / "a folder" / "key").exists()


def test_a_relative_path_starts_at_the_top_level_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "project_dir", lambda: tmp_path)
    monkeypatch.chdir("/")
    open_store("some/store").put("key", b"")
    assert (tmp_path / "some" / "store" / "key").exists()


@pytest.mark.parametrize("suffix", ["", "/", "/a/prefix", "/a/prefix/"])
def test_an_s3_address_is_a_bucket_and_a_prefix(bucket: str, suffix: str) -> None:
    store = open_store(f"s3://{bucket}{suffix}")
    assert isinstance(store, S3Store)
    store.put("key", b"")
    whole = S3Store(store._client, bucket)
    assert list(whole.keys()) == [f"{suffix.strip('/')}/key".lstrip("/")]


def test_a_store_is_opened_with_the_credentials_of_now(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key_id() -> str:
        store = open_store(f"s3://{bucket}")
        assert isinstance(store, S3Store)
        return str(store._client._request_signer._credentials.access_key)

    assert key_id() == "test"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert key_id() == "another"


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3://", "s3:///prefix", "http://host/x"])
def test_other_addresses_are_refused(uri: str) -> None:
    with pytest.raises(PermanentError, match="INGEST_STORAGE_URI") as caught:
        open_store(uri)
    assert caught.value.kind is ErrorKind.INVALID_OPTION


def test_a_folder_needs_none_of_the_heavy_packages(tmp_path: Path) -> None:
    script = (
        "import sys; from ingestion_pipeline.storage import open_store, ArtifactStore\n"
        "ArtifactStore(open_store(sys.argv[1]))\n"
        "print({'boto3', 'botocore', 'pyarrow', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"
