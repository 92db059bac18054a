"""Taking something out of each chunk that a person described: by a pattern, or by asking.

Belongs here: finding, and what is kept of it. Does not belong here: what collections are enriched
with by their configuration (``enrich``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, items, quoted
from ingestion_pipeline.enrichment.enrich import Model, side_by_side
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.enrichment import ChunkEnrichment, Enrichment

_LONGEST = 300
"""Characters of a find."""
_WEIGHT = 10
"""How well a tag fits that was found in the text."""


def extract(
    chunks: Sequence[Chunk],
    into: str,
    most: int,
    *,
    pattern: str | None = None,
    prompt: str | None = None,
    llm: ChatModel | None,
    control: Control,
) -> Enrichment:
    """Find at most ``most`` texts in each chunk, for its keywords, questions or tags (``into``).

    By the regular expression ``pattern``, or else by asking the language model ``prompt``. Without
    a model nothing is found, and a warning says so.
    """
    if pattern is not None:
        compiled = re.compile(pattern)
        made = []
        for chunk in chunks:
            control.check()
            made.append(_added(_matches(compiled, chunk.text)[:most], into))
        return Enrichment(tuple(made))
    if llm is None:
        warning = (
            f"{into} cannot be extracted without a language model: set INGEST_LLM_BASE_URL and "
            "INGEST_LLM_MODEL"
        )
        return Enrichment((ChunkEnrichment(),) * len(chunks), warnings=(warning,))
    model = Model(llm, control)
    jobs = [partial(model.ask, partial(_asked, chunk.text, prompt or "", most)) for chunk in chunks]
    found = side_by_side(jobs, model.threads)
    return Enrichment(
        tuple(_added(each, into) for each in found),
        tokens=model.tokens,
        warnings=model.warnings,
        complete=not model.may_recover,
    )


def _matches(pattern: re.Pattern[str], text: str) -> list[str]:
    group = 1 if pattern.groups else 0
    found = (" ".join((match[group] or "").split()) for match in pattern.finditer(text))
    once: dict[str, str] = {}
    for each in found:
        if 0 < len(each) <= _LONGEST:
            once.setdefault(each.casefold(), each)
    return list(once.values())


def _asked(text: str, prompt: str, most: int, llm: ChatModel, control: Control) -> Asked[str]:
    answer = llm.chat(
        f"{prompt}\n\nAnswer with at most {most} lines, each of them one find, most important "
        "first, and with nothing else.",
        quoted(text),
        max_tokens=64 + 48 * most,
        temperature=0.2,
        control=control,
    )
    return Asked(items(answer.text, r"\n", most, _LONGEST), answer.tokens)


def _added(found: Sequence[str], into: str) -> ChunkEnrichment:
    if into == "tags":
        return ChunkEnrichment(tags=tuple((each, _WEIGHT) for each in found))
    if into == "questions":
        return ChunkEnrichment(questions=tuple(found))
    return ChunkEnrichment(keywords=tuple(found))
