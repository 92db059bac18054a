"""Kinds of documents: which structure each has and how it is cut unless told otherwise.

Belongs here: the table of kinds. Does not belong here: finding structure (``structure``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ingestion_pipeline.chunking import sections, structure
from ingestion_pipeline.chunking.headings import Parts
from ingestion_pipeline.chunking.packing import Packer, Piece
from ingestion_pipeline.chunking.qa import by_question
from ingestion_pipeline.chunking.rows import by_row, by_tagged_row
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.elements import ParsedDocument

_SLIDES = frozenset(
    {
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.ms-powerpoint",
        "application/vnd.oasis.opendocument.presentation",
    }
)
_MAILS = frozenset({"message/rfc822", "application/vnd.ms-outlook"})


Strategy = Callable[[Packer], Iterator[Piece]]


@dataclass(frozen=True)
class Kind:
    """What a kind of document looks like.

    ``strategy`` cuts it unless the plan names another; ``restructure`` finds what its parser did
    not. ``titled``: each chunk begins with the headings above it.
    """

    strategy: Strategy
    restructure: Callable[[Parts], Parts] = structure.unchanged
    titled: bool = False


KINDS: Mapping[ParserKind, Kind] = MappingProxyType(
    {
        ParserKind.GENERAL: Kind(sections.general),
        ParserKind.PAPER: Kind(sections.by_section, structure.paper),
        ParserKind.BOOK: Kind(sections.general, structure.book),
        ParserKind.LAWS: Kind(sections.by_section, structure.laws, titled=True),
        ParserKind.MANUAL: Kind(sections.by_title, structure.numbered),
        ParserKind.QA: Kind(by_question, structure.tabbed),
        ParserKind.TABLE: Kind(by_row, structure.tabbed),
        ParserKind.TAG: Kind(by_tagged_row, structure.tabbed),
        ParserKind.PRESENTATION: Kind(sections.by_page),
        ParserKind.PICTURE: Kind(sections.by_picture),
        ParserKind.EMAIL: Kind(sections.general),
        ParserKind.RESUME: Kind(sections.by_section, structure.resume),
        ParserKind.AUDIO: Kind(sections.general),
        ParserKind.ONE: Kind(sections.one),
    }
)


def kind_of(document: ParsedDocument) -> ParserKind:
    """Return the kind that a document's format suggests."""
    if document.media_type in _SLIDES:
        return ParserKind.PRESENTATION
    if document.media_type in _MAILS:
        return ParserKind.EMAIL
    family = document.media_type.partition("/")[0]
    return {"image": ParserKind.PICTURE, "audio": ParserKind.AUDIO}.get(family, ParserKind.GENERAL)
