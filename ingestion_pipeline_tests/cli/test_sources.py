"""Sources on the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ingestion_pipeline.client import IngestionClient
from ingestion_pipeline.registry.sources import SourceFile
from ingestion_pipeline_tests.cli.terminal import said


@pytest.fixture
def _inbox() -> Iterator[None]:
    """A source with one file of two missing."""
    with IngestionClient() as client:
        sources = client.services.registry.sources
        sources.ensure("inbox", "handbook", "folder", "/inbox")
        files = [SourceFile(f"file:///inbox/{name}", name, "1") for name in ("a", "b")]
        sources.record("inbox", files, complete=True, problem=None)
        gone = ["file:///inbox/a"]
        sources.record("inbox", [], missing=gone, complete=False, problem="denied")
        yield
        if sources.all():
            sources.forget("inbox")


@pytest.mark.usefixtures("_inbox")
def test_sources_are_listed_with_how_they_were_last_seen() -> None:
    (listed,) = said("sources", "--json").json

    assert listed.pop("looked_at") >= listed.pop("complete_at")
    assert listed == {
        "source": "inbox",
        "kind": "folder",
        "address": "/inbox",
        "collection": "handbook",
        "tenant": "default",
        "files": 2,
        "missing": 1,
        "problem": "denied",
    }
    assert "denied" in said("sources").out


@pytest.mark.usefixtures("_inbox")
def test_what_is_missing_can_be_confirmed() -> None:
    assert said("sources", "confirm", "inbox", "--json").json == {
        "source": "inbox",
        "confirmed": 1,
    }


@pytest.mark.usefixtures("_inbox")
def test_a_source_can_be_forgotten() -> None:
    assert said("sources", "forget", "inbox").code == 0
    assert said("sources", "--json").json == []


def test_what_is_not_there_is_not_found() -> None:
    assert said("sources", "confirm", "nothing").error == (
        "error: not_found: there is no source 'nothing': see `ingest sources`"
    )
