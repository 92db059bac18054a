"""Pipelines that people declare: which components a document goes through, in which order.

Belongs here: the types of components with their settings, putting them together, what is said of a
declaration that is wrong, and what recipes and parts follow from one that is right. Does not belong
here: running anything (``stages``, ``tasks``), Dagster (``components``).
"""

from __future__ import annotations

from ingestion_pipeline.dataflow.forms import ChunkComponent, PipelineForm
from ingestion_pipeline.dataflow.pipeline import Node, Pipeline, compose
from ingestion_pipeline.dataflow.reading import (
    DECLARED,
    find_pipelines,
    pipelines_in,
    read_pipeline,
)

__all__ = [
    "DECLARED",
    "ChunkComponent",
    "Node",
    "Pipeline",
    "PipelineForm",
    "compose",
    "find_pipelines",
    "pipelines_in",
    "read_pipeline",
]
