"""Summaries of chunks, and the trees they form (RAPTOR, Sarthi et al. 2024).

Belongs here: what a summary is and how it is identified. Does not belong here: how they are made
(``raptor``) or searched (``retrieval``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class SummaryMethod(StrEnum):
    """How the text of a summary came about."""

    EXTRACTIVE = "extractive"
    """Sentences of its chunks, each of which is cited."""
    ABSTRACTIVE = "abstractive"
    """Written by a language model; its citations say what it was written from."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A sentence of a chunk: ``chunk.text[start:end]``."""

    chunk_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One node of a tree; its leaves are chunks.

    ``layer`` 1 is right above chunks. ``children`` are ids of chunks in layer 1 and of summaries
    above (and, across documents, of the chunks of those that have no summary), ``chunk_ids`` all
    chunks below it; both in the order of the documents. ``document_id`` is
    None where it spans documents. ``tokens`` counts the embedding model's tokens of ``text``,
    special tokens included. ``title`` is a few words that tell it from its siblings.
    """

    summary_id: str
    document_id: str | None
    layer: int
    title: str
    text: str
    tokens: int
    method: SummaryMethod
    children: tuple[str, ...]
    chunk_ids: tuple[str, ...]
    citations: tuple[Citation, ...]


def summary_id(document_id: str | None, recipe: str, children: Sequence[str]) -> str:
    """Identify a summary by what it is of, and by how summaries are made (``recipe``).

    As long as neither changes it keeps its id, whatever happens elsewhere in the collection.
    """
    parts = (document_id or "", recipe, *children)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
