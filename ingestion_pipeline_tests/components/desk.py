"""A place to run one pipeline in, whose file can be edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from ingestion_pipeline.dataflow import Pipeline, read_pipeline
from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.dataflow.assets import pipeline_defs
from ingestion_pipeline.model.search import SearchMode
from ingestion_pipeline.model.tasks import Priority, TaskState
from ingestion_pipeline.retrieval import search
from ingestion_pipeline.tasks.submission import Submission, submit
from ingestion_pipeline_tests.pipeline.lab import Lab, opened

PIPELINE = """
type: ingestion_pipeline.components.Dataflow
attributes:
  name: notes
  components:
    - type: File
      suffixes: [md, txt]
    - type: Parser
    - type: HierarchicalMerger
      depth: 1
    - type: Extractor
      name: forms
      pattern: '[A-Z]{2}-[0-9]+'
      into: tags
    - type: ingestion_pipeline_tests.dataflow.own.Lengths
      inputs: [hierarchical_merger]
      longest: 100
    - type: Embedder
      inputs: [hierarchical_merger]
      title_weight: 0.1
    - type: Indexer
      inputs: [embedder, forms, lengths]
"""
OPS = ("file", "parser", "hierarchical_merger", "forms", "lengths", "embedder", "indexer")


class Desk(Lab):
    """A lab with one pipeline, whose file can be edited."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.file = self.folder.parent / "pipelines" / "notes.yaml"
        self.file.parent.mkdir(parents=True)
        self.declare(PIPELINE)

    def declare(self, text: str) -> None:
        self.file.write_text(text)
        self.pipeline: Pipeline = read_pipeline(self.file)
        self.services.__dict__["pipelines"] = {"notes": self.pipeline}
        own = pipeline_defs(self.pipeline)
        self.defs = dg.Definitions.merge(
            build_defs(opened(self.services), pipeline_jobs=list(own.jobs or ())), own
        )

    def edit(self, before: str, after: str) -> None:
        text = self.file.read_text()
        assert before in text
        self.declare(text.replace(before, after))

    def through(self, *paths: Path, pipeline: str | None = "notes", **options: Any) -> Submission:
        self.submit()
        known = self.services.registry.collections.get("papers")
        return submit(self.services, known, paths, Priority.NORMAL, options, pipeline)

    def go(
        self, instance: dg.DagsterInstance | None = None, **config: Any
    ) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_job_def("notes_job").execute_in_process(
            run_config={"ops": {"notes": {"config": config or {"waiting_only": True}}}},
            instance=instance or self.instance,
            partition_key="papers",
            raise_on_error=False,
        )

    def counts(self, result: dg.ExecuteInProcessResult, which: str = "computed") -> dict[str, int]:
        """Return for how many documents each op computed something."""
        assert result.success
        found = {}
        for event in result.all_events:
            if event.event_type is dg.DagsterEventType.STEP_OUTPUT:
                metadata = event.step_output_data.metadata
                name = str(event.step_key).partition(".")[2]
                found[name] = int(metadata[f"documents_{which}"].value)
        return found

    def states(self, submission: Submission) -> list[TaskState]:
        found = self.services.registry.tasks.states(submission.task_ids)
        return [found[each] for each in submission.task_ids]

    def found(self, question: str) -> list[Any]:
        known = self.services.registry.collections.get("papers")
        return search(
            self.services.index(known), self.services.embedder(known), question, SearchMode.TEXT, 5
        )
