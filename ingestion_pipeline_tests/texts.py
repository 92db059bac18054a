"""Texts for documents that take their time."""

from __future__ import annotations


def logbook(sentences: int) -> str:
    """Return sentences that all differ: a model reads what is the same only once."""
    return " ".join(
        f"At {number} the harbour master wrote down wind, tide and every ship off the outer buoy."
        for number in range(sentences)
    )
