"""From bytes to a ``ParsedDocument``: detection by content, one file per parser, isolation.

Public face: ``parse`` reads a document in this process; ``ParserPool`` reads it in a child
process with limits on time and memory, so that no document can hang or kill the caller.

Belongs here: everything that knows a file format. Does not belong here: fetching bytes
(``storage``), cutting text into passages (``chunking``).
"""

from __future__ import annotations

from ingestion_pipeline.parsing.factory import parse
from ingestion_pipeline.parsing.pool import ParserPool

__all__ = ["ParserPool", "parse"]
