"""The truth about collections, documents and tasks, in SQL (SQLite or PostgreSQL).

Belongs here: what is stored, the legal changes to it, and atomic claiming. Does not belong here:
what a change leads to (``tasks``), any Redis, any Dagster. Open it with
``ingestion_pipeline.registry.registry.open_registry``.
"""
