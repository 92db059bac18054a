"""What happens to a document: one file per stage, and the run that streams a batch through them.

Belongs here: what each stage reads, its fingerprint, what it writes. The same code runs under a
Dagster asset, in process, and in a test. Does not belong here: which documents (``tasks``), the
algorithms themselves (``parsing``, ``chunking``, ``embedding``, ``indexing``).
"""
