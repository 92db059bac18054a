"""A pipeline as a file declares it: components with typed settings, as an asset of ops."""

from __future__ import annotations

from typing import Self

import dagster as dg
from pydantic import BaseModel

from ingestion_pipeline.components.scaffolding import scaffolded
from ingestion_pipeline.dataflow import Pipeline, PipelineForm, compose
from ingestion_pipeline.dataflow.reading import FILE, read_pipeline
from ingestion_pipeline.defs.dataflow.assets import pipeline_defs


@scaffolded(
    components=[
        {"type": "File"},
        {"type": "Parser"},
        {"type": "Splitter", "tokens": 200},
        {"type": "Enricher", "keywords": 5},
        {"type": "Embedder"},
        {"type": "Indexer"},
    ]
)
class Dataflow(dg.Component):
    """A pipeline that documents go through by a task that names it.

    Its components are File, Parser, Splitter or HierarchicalMerger, Extractor, Enricher, Embedder,
    Indexer, and classes of one's own.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the form of its attributes, which `dg docs` shows."""
        return PipelineForm

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Put the components together, or say which line of which file is wrong."""
        file = context.path / FILE
        if file.is_file():
            return cls(read_pipeline(file))
        return cls(compose(PipelineForm.model_validate(attributes)))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Return its asset and its job."""
        return pipeline_defs(self.pipeline)
