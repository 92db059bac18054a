"""From pieces to chunks: the exact count, the ids, the places.

Belongs here: what holds for the chunks of every strategy. Does not belong here: where to cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ingestion_pipeline.chunking.layout import Layout, Placed
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.model.chunks import Chunk, Parent, chunk_id


def chunks_of(pieces: Iterable[Piece], packer: Packer, document_id: str) -> list[Chunk]:
    """Count each piece, halve those over the cap, and describe what they are."""
    counted = list(fitted(list(pieces), packer))
    parents = _parents([piece for piece, _, _ in counted], packer.layout, document_id)
    occurrences: Counter[str] = Counter()
    chunks = []
    for ordinal, (piece, text, tokens) in enumerate(counted):
        touched = packer.layout.touched(piece.start, piece.end)
        pages = {part.element.page for part in touched if part.element.page is not None}
        pictures = (part.element.picture for part in touched if part.element.picture is not None)
        chunks.append(
            Chunk(
                chunk_id=chunk_id(document_id, text, occurrences[text]),
                document_id=document_id,
                ordinal=ordinal,
                text=text,
                tokens=tokens,
                start=piece.start,
                end=piece.end,
                pages=tuple(sorted(pages)),
                heading_path=_heading_path(touched),
                pictures=tuple(dict.fromkeys(pictures)),
                tags=piece.tags,
                parent=None if piece.parent is None else parents[piece.parent],
            )
        )
        occurrences[text] += 1
    return chunks


def fitted(pieces: Sequence[Piece], packer: Packer) -> Iterator[tuple[Piece, str, int]]:
    """Yield each piece with its text and tokens; those over the cap are halved until all fit."""
    texts = [_text(piece, packer.layout) for piece in pieces]
    for piece, text, tokens in zip(pieces, texts, packer.tokenizer.counts(texts), strict=True):
        if tokens <= packer.max_tokens or len(text) == 1:
            yield piece, text, tokens
        else:
            yield from fitted(packer.halves(piece), packer)


def _text(piece: Piece, layout: Layout) -> str:
    body = layout.text[piece.start : piece.end] if piece.text is None else piece.text
    return piece.lead + body


def _parents(
    pieces: Iterable[Piece], layout: Layout, document_id: str
) -> dict[tuple[int, int], Parent]:
    occurrences: Counter[str] = Counter()
    parents = {}
    for span in dict.fromkeys(piece.parent for piece in pieces if piece.parent is not None):
        text = layout.text[slice(*span)]
        parents[span] = Parent(chunk_id(document_id, text, occurrences[text]), text, *span)
        occurrences[text] += 1
    return parents


def _heading_path(touched: Sequence[Placed]) -> tuple[str, ...]:
    """Return the path of the section that the first text, else the last heading, stands in."""
    for part in touched:
        if not part.is_title:
            return part.element.heading_path
    last = touched[-1].element
    return (*last.heading_path, last.text)
