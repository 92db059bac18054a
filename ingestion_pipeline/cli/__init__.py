"""The command line ``ingest``: one file per group of commands.

Belongs here: arguments, progress, tables, JSON. Does not belong here: what the commands do
(``client``, ``tasks``, ``retrieval``, ``execution``).
"""

from __future__ import annotations

from ingestion_pipeline.cli.app import main

__all__ = ["main"]
