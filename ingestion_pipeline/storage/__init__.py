"""Where bytes are kept: source objects and the stored results of stages.

Belongs here: object stores (a folder, S3), what is kept in them, and its form. Does not belong
here: which bytes a document has (``registry``) or when a result is stored (``stages``).
"""

from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline.storage.base import ObjectStore
from ingestion_pipeline.storage.factory import open_store
from ingestion_pipeline.storage.objects import SourceObjects, object_key, object_uri

__all__ = [
    "ArtifactStore",
    "ObjectStore",
    "SourceObjects",
    "object_key",
    "object_uri",
    "open_store",
]
