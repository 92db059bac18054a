"""Contents of a document without headings, found by a language model.

Belongs here: the questions for titles and levels, as in the seed, and what is made of the answers.
Does not belong here: contents from headings that are there (``toc``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, quoted
from ingestion_pipeline.enrichment.toc import DEEPEST
from ingestion_pipeline.llm import ChatModel, read_json
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.enrichment import TocEntry

_BATCH_TOKENS = 1024
_LONGEST_TITLE = 120
"""Characters; what is longer is a sentence of the text."""
_NONE = "-1"


@dataclass(frozen=True)
class Section:
    """A section begins in the chunk of this number."""

    number: int
    title: str


def batches(chunks: Sequence[Chunk]) -> list[list[tuple[int, str]]]:
    """Return the numbered texts of the chunks in parts that one question can hold."""
    parts: list[list[tuple[int, str]]] = []
    left = 0
    for number, chunk in enumerate(chunks):
        if chunk.tokens > left:
            parts.append([])
            left = _BATCH_TOKENS
        parts[-1].append((number, chunk.text))
        left -= chunk.tokens
    return parts


def asked_sections(
    batch: Sequence[tuple[int, str]], llm: ChatModel, control: Control
) -> Asked[Section]:
    """Return the sections that begin in some passages, in their order."""
    answer = llm.chat(
        "You make tables of contents. The text consists of numbered passages. For each passage in "
        "which a new section begins, give its title, as it stands there if it does, else a short "
        f"one in the language of the text; for any other passage give {_NONE!r}. "
        "Answer with one JSON object: the number of a passage as the key, its title as the value.",
        quoted("\n\n".join(f"[{number}] {text}" for number, text in batch)),
        max_tokens=100 + 30 * len(batch),
        temperature=0.0,
        json_schema={"type": "object", "additionalProperties": {"type": "string"}},
        control=control,
    )
    value = read_json(answer.text)
    titles = value if isinstance(value, dict) else {}
    sections = (Section(number, _title(titles.get(str(number)))) for number, _ in batch)
    return Asked(tuple(section for section in sections if section.title), answer.tokens)


def asked_levels(titles: Sequence[str], llm: ChatModel, control: Control) -> Asked[int]:
    """Return the level (1..6) of each title, 1 where the answer has none."""
    answer = llm.chat(
        "You make tables of contents. Give the level of each of these titles, 1 for a chapter, 2 "
        f"for a section in it, and so on to {DEEPEST}. Answer with one JSON object: "
        "the number of the title as the key, its level as the value.",
        quoted("\n".join(f"[{number}] {title}" for number, title in enumerate(titles))),
        max_tokens=100 + 10 * len(titles),
        temperature=0.0,
        json_schema={"type": "object", "additionalProperties": {"type": "integer"}},
        control=control,
    )
    value = read_json(answer.text)
    levels = value if isinstance(value, dict) else {}
    return Asked(tuple(_level(levels.get(str(n))) for n in range(len(titles))), answer.tokens)


def outlined(
    sections: Sequence[Section], levels: Sequence[int], chunks: Sequence[Chunk]
) -> tuple[TocEntry, ...]:
    """Return the contents: each section with the chunks from its own to that of the next."""
    ends = [section.number for section in sections[1:]] + [len(chunks)]
    return tuple(
        TocEntry(
            section.title, level, tuple(chunk.chunk_id for chunk in chunks[section.number : end])
        )
        for section, level, end in zip(sections, levels, ends, strict=True)
    )


def _title(value: object) -> str:
    """Return a title as the model gave it, "" if it gave none."""
    title = " ".join(value.split()) if isinstance(value, str) else ""
    fits = title != _NONE and len(title) <= _LONGEST_TITLE and any(map(str.isalpha, title))
    return title if fits else ""


def _level(value: object) -> int:
    text = str(value)
    return min(DEEPEST, max(1, int(text))) if len(text) == 1 and text.isdecimal() else 1
