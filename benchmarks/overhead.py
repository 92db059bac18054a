"""What a document costs beside parsing and embedding: milliseconds by part, and Dagster's share.

Small text files go through the real pipeline in this process, as Dagster's job on an instance in
memory: accepted, claimed, sourced, parsed, chunked, enriched, embedded, published, recorded. Parts
are timed where they are called; sourced, parsed and chunked side by side, so their sum may pass the
wall time. What is left of it is Dagster and the rest. Prints a Markdown table; with 1,000 files and
the packaged model, the default, it also goes into docs/performance.md.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --files 200 --model free        # a quick look; writes nothing
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from incremental import write
from memory import _encoding
from pages import inserted

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
FILES = 1_000
COLLECTION = "overhead"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--model", choices=["packaged", "sampled", "free"], default="packaged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="overhead-") as place:
        os.environ |= {"INGEST_STATE_DIR": str(Path(place) / "state"), "DO_NOT_TRACK": "1"}
        write(Path(place) / "files", options.files)
        report = measured(Path(place) / "files", options.files, options.model)
    print(report)
    if options.files == FILES and options.model == "packaged":
        PAGE.write_text(inserted(PAGE.read_text(), "overhead", report))


def measured(folder: Path, count: int, model: str) -> str:
    """Ingest a folder under Dagster; return the table."""
    import dagster as dg

    from ingestion_pipeline.client import IngestionClient
    from ingestion_pipeline.control import NoControl
    from ingestion_pipeline.defs.build import build_defs
    from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.model.collections import CollectionName
    from ingestion_pipeline.model.documents import STAGES
    from ingestion_pipeline.registry.claims import Claims
    from ingestion_pipeline.registry.publications import Publications
    from ingestion_pipeline.registry.tasks import Tasks
    from ingestion_pipeline.tasks import work

    spent: Counter[str] = Counter()
    reports: list[work.WorkReport] = []
    if model != "packaged":
        Embedder.encode = _encoding(Embedder, sampled=model == "sampled")  # type: ignore[method-assign]
    for part, owner, name in (
        ("claim", Claims, "take"),
        ("announce", Publications, "announce"),
        ("record", Claims, "record"),
        ("record", Claims, "release"),
        ("tell progress", Tasks, "progress"),
        ("run", work, "run"),
    ):
        _timed(owner, name, part, spent, reports)
    client = IngestionClient()
    known, _ = client.services.registry.collections.ensure(CollectionName("default", COLLECTION))
    client.services.embedder(known).encode(["warm"] * 4, NoControl())
    ingest = build_defs().resolve_job_def("ingest_job")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PARTITIONS_NAME, [known.key])
        began = time.perf_counter()
        client.launch_tasks([folder], collection=COLLECTION)
        spent["submit: read, store, accept"] = time.perf_counter() - began
        began = time.perf_counter()
        ingest.execute_in_process(instance=instance, partition_key=known.key)
        under_dagster = time.perf_counter() - began
    for report in reports:
        for stage in STAGES:
            spent[stage.value] += report.stage_seconds[stage]
    run = spent.pop("run")
    spent["Dagster: steps, events, metadata"] = under_dagster - run
    total = spent["submit: read, store, accept"] + under_dagster
    order = [
        "submit: read, store, accept",
        "claim",
        *(stage.value for stage in STAGES),
        "announce",
        "record",
        "tell progress",
        "Dagster: steps, events, metadata",
    ]
    lines = [f"| {part} | {spent[part] / count * 1000:.2f} |" for part in order]
    share = spent["Dagster: steps, events, metadata"] / total
    return "\n".join(
        [
            f"| {count:,} files of one chunk, model: {model} | ms a document |\n|---|---|",
            *lines,
            f"| **all, wall time** | {total / count * 1000:.2f} |",
            f"\nDagster takes {share:.1%} of the whole.\n",
        ]
    )


def _timed(owner: Any, name: str, part: str, spent: Counter[str], reports: list[Any]) -> None:
    """Add what calls of a function take to a part, and keep the reports that they return."""
    function: Callable[..., Any] = getattr(owner, name)

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            result = function(*arguments, **options)
        finally:
            spent[part] += time.perf_counter() - began
        if part == "run":
            reports.append(result)
        return result

    setattr(owner, name, timed)


if __name__ == "__main__":
    main()
