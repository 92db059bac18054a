from __future__ import annotations

from pathlib import Path

from ingestion_pipeline.indexing import CollectionIndex
from ingestion_pipeline.retrieval.kept import COLLECTIONS_KEPT, Kept


def test_what_was_read_is_read_again_when_there_is_a_new_version(index: CollectionIndex) -> None:
    kept: Kept[str] = Kept()

    assert kept.of(index, "1", lambda: "first") == "first"
    assert kept.of(index, "1", lambda: "never") == "first"
    assert kept.of(index, "2", lambda: "second") == "second"


def test_few_collections_are_kept_in_memory(tmp_path: Path) -> None:
    indexes = [
        CollectionIndex(str(tmp_path), f"handbook{number}", "model-a")
        for number in range(COLLECTIONS_KEPT + 1)
    ]
    kept: Kept[str] = Kept()
    for each in indexes:
        kept.of(each, "1", lambda: "before")

    assert kept.of(indexes[-1], "1", lambda: "again") == "before"
    assert kept.of(indexes[0], "1", lambda: "again") == "again"
