"""Reading passages, each with what reads its language best.

Belongs here: which reader that is. Does not belong here: reading (``linguistic``, ``chinese``,
``fallback``), and in which process that is done (``readers``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ingestion_pipeline import installed
from ingestion_pipeline.control import Control
from ingestion_pipeline.graph import chinese, fallback, linguistic
from ingestion_pipeline.graph.reading import Passage, Reader, Reading

CHINESE = "zh"
ENGLISH = frozenset({"en", None})
"""What is too short to tell its language is read as English."""


def has_model(language: str | None) -> bool:
    """Whether a language is read with a model of it here, and not by its spelling."""
    if language == CHINESE:
        return installed.reads_chinese()
    return language in ENGLISH and installed.reads_english()


def readings(passages: Sequence[Passage], control: Control) -> Iterator[Reading]:
    """Yield the readings of passages in their order, those in one language read in one go."""
    places: dict[Reader, list[int]] = defaultdict(list)
    for place, passage in enumerate(passages):
        places[_reader(passage)].append(place)
    found: dict[int, Reading] = {}
    for reader, own in places.items():
        read = reader((passages[place] for place in own), control)
        found.update(zip(own, read, strict=True))
    for place in range(len(passages)):
        yield found.pop(place)


def _reader(passage: Passage) -> Reader:
    if not has_model(passage.language):
        return fallback.read_spelling
    return chinese.read_chinese if passage.language == CHINESE else linguistic.read_english
