"""From pieces to chunks: the exact count, the ids, the places.

Belongs here: what holds for the chunks of every strategy. Does not belong here: where to cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ingestion_pipeline.chunking.layout import Layout, Placed, Span
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.model.chunks import Chunk, Parent, chunk_id

_PIECES_AT_ONCE = 1024


def chunks_of(pieces: Iterable[Piece], packer: Packer, document_id: str) -> Iterator[Chunk]:
    """Count each piece, halve those over the cap, and describe what they are."""
    parents = _Parents(packer.layout, document_id)
    occurrences: Counter[str] = Counter()
    for ordinal, (piece, text, tokens) in enumerate(fitted(pieces, packer)):
        touched = packer.layout.touched(piece.start, piece.end)
        pages = {part.element.page for part in touched if part.element.page is not None}
        pictures = (part.element.picture for part in touched if part.element.picture is not None)
        first_id = chunk_id(document_id, text, 0)  # not the text, which would stay in memory
        occurrence = occurrences[first_id]
        occurrences[first_id] += 1
        yield Chunk(
            chunk_id=chunk_id(document_id, text, occurrence) if occurrence else first_id,
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


def fitted(pieces: Iterable[Piece], packer: Packer) -> Iterator[tuple[Piece, str, int]]:
    """Yield each piece with its text and tokens; those over the cap are halved until all fit."""
    ahead = iter(pieces)
    while some := list(islice(ahead, _PIECES_AT_ONCE)):
        texts = [_text(piece, packer.layout) for piece in some]
        for piece, text, tokens in zip(some, texts, packer.tokenizer.counts(texts), strict=True):
            if tokens <= packer.max_tokens or len(text) == 1:
                yield piece, text, tokens
            else:
                yield from fitted(packer.halves(piece), packer)


def _text(piece: Piece, layout: Layout) -> str:
    body = layout.text[piece.start : piece.end] if piece.text is None else piece.text
    return piece.lead + body


class _Parents(dict[Span, Parent]):
    """Parents by their spans, each made when it is first asked for."""

    def __init__(self, layout: Layout, document_id: str) -> None:
        super().__init__()
        self._layout = layout
        self._document_id = document_id
        self._occurrences: Counter[str] = Counter()

    def __missing__(self, span: Span) -> Parent:
        text = self._layout.text[slice(*span)]
        parent_id = chunk_id(self._document_id, text, self._occurrences[text])
        self._occurrences[text] += 1
        self[span] = Parent(parent_id, text, *span)
        return self[span]


def _heading_path(touched: Sequence[Placed]) -> tuple[str, ...]:
    """Return the path of the section that the first text, else the last heading, stands in."""
    for part in touched:
        if not part.is_title:
            return part.element.heading_path
    last = touched[-1].element
    return (*last.heading_path, last.text)
