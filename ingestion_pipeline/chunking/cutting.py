"""A parsed document becomes chunks: kind, strategy, pieces, chunks.

Belongs here: the way through the package. Does not belong here: any of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ingestion_pipeline.chunking import sections
from ingestion_pipeline.chunking.finishing import chunks_of
from ingestion_pipeline.chunking.kinds import KINDS, Strategy, kind_of
from ingestion_pipeline.chunking.layout import Layout, placed
from ingestion_pipeline.chunking.measure import Ruler, Tokenizer
from ingestion_pipeline.chunking.packing import Packer
from ingestion_pipeline.chunking.parents import parent_child
from ingestion_pipeline.chunking.plan import ChunkPlan, Embed
from ingestion_pipeline.chunking.qa import by_question
from ingestion_pipeline.chunking.rows import by_row
from ingestion_pipeline.chunking.semantic import semantic
from ingestion_pipeline.chunking.structure import by_patterns
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.collections import ChunkStrategy, ParserKind
from ingestion_pipeline.model.elements import ParsedDocument


def cut(
    document: ParsedDocument,
    document_id: str,
    tokenizer: Tokenizer,
    plan: ChunkPlan,
    embed: Embed,
) -> Iterator[Chunk]:
    """Cut a document into chunks of at most ``plan.max_tokens`` tokens, one after the other.

    Together they hold all text but a table of contents, where the kind has one. ``embed`` is
    called for the strategy ``semantic`` only.
    """
    kind = KINDS[kind_of(document) if plan.kind is ParserKind.AUTO else plan.kind]
    parts = by_patterns(placed(document), plan.levels) if plan.levels else placed(document)
    packer = Packer(
        Layout(document.text, kind.restructure(parts)),
        Ruler(document.text, tokenizer),
        tokenizer,
        plan.max_tokens,
        plan.overlap,
        plan.delimiters,
        kind.titled,
    )
    strategies: dict[ChunkStrategy | None, Strategy] = {
        None: kind.strategy,
        ChunkStrategy.GENERAL: sections.general,
        ChunkStrategy.BY_TITLE: sections.by_title,
        ChunkStrategy.BY_PAGE: sections.by_page,
        ChunkStrategy.PARENT_CHILD: partial(parent_child, parent_tokens=plan.parent_tokens),
        ChunkStrategy.SEMANTIC: partial(semantic, embed=embed),
        ChunkStrategy.ROWS: by_row,
        ChunkStrategy.QA: by_question,
        ChunkStrategy.HIERARCHY: partial(sections.by_hierarchy, depth=plan.depth),
        ChunkStrategy.ONE: sections.one,
    }
    return chunks_of(strategies[plan.strategy](packer), packer, document_id)
