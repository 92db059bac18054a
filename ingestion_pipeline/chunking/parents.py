"""The strategy *parent_child*: small chunks are searched, the passages around them returned.

Belongs here: parents and the chunks within each. Does not belong here: cutting (``packing``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ingestion_pipeline.chunking.finishing import fitted
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.chunking.plan import SMALLEST_CAP
from ingestion_pipeline.chunking.sections import general


def parent_child(packer: Packer, parent_tokens: int) -> Iterator[Piece]:
    """Cut into parents of at most ``parent_tokens`` at section borders, then each into chunks.

    A chunk takes at most half of what a parent may, even if the model could take more.
    """
    wide = replace(
        packer, max_tokens=parent_tokens, overlap=0, delimiters=(), titled=False, headed=False
    )
    narrow = replace(
        packer, max_tokens=max(SMALLEST_CAP, min(packer.max_tokens, parent_tokens // 2))
    )
    for parent, _, _ in fitted(general(wide), wide):
        for piece in narrow.pieces(parent.start, parent.end):
            yield replace(piece, parent=(parent.start, parent.end))
