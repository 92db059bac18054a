"""Writing summaries and titles of chunks: by quoting them, or with a language model.

Belongs here: which sentences matter, what is written of some chunks and how it is called. Does not
belong here: which chunks are summarised together (``raptor``, ``graph``).
"""

from __future__ import annotations
