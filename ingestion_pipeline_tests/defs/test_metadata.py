from __future__ import annotations

import pytest

from ingestion_pipeline.defs.ingest.metadata import metadata_of
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.registry.documents import Totals
from ingestion_pipeline.tasks.work import WorkReport

NOTHING = Totals(documents=0, chunks=0, tokens=0)


def test_a_run_says_what_ran_the_model_and_how_fast() -> None:
    report = WorkReport(
        embedded_chunks=300,
        embedded_tokens=51_000,
        chunks_read_before=100,
        embedding_seconds=3.0,
        embedded_by="openvino bfloat16",
    )
    shown = metadata_of(report, Stage.EMBEDDED, NOTHING)
    assert shown["embedded_by"].value == "openvino bfloat16"
    assert shown["embedded_chunks"].value == 300
    assert shown["embedding_cache_hit_rate"].value == 0.25
    assert shown["embedded_chunks_per_second"].value == 100.0
    assert shown["embedded_tokens_per_second"].value == 17_000.0


@pytest.mark.parametrize("stage", [Stage.EMBEDDED, Stage.INDEXED])
def test_where_nothing_was_embedded_no_speed_is_told(stage: Stage) -> None:
    assert not [name for name in metadata_of(WorkReport(), stage, NOTHING) if "embedded" in name]
