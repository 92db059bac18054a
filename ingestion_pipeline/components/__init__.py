"""Dagster Components: what users declare in YAML (``defs/declared``) instead of coding it.

Belongs here: typed attributes, and the definitions that follow from them as thin shells. Does not
belong here: what these do (``tasks``, ``storage``).
"""

from ingestion_pipeline.components.collection import Collection
from ingestion_pipeline.components.dataflow import Dataflow
from ingestion_pipeline.components.sources import FolderSource, HttpSource, S3Source

__all__ = ["Collection", "Dataflow", "FolderSource", "HttpSource", "S3Source"]
