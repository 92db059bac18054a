"""Metadata of a document by a user's schema, read by a language model.

Belongs here: what is shown to the model, and how its answers are put together. Statistics cannot
serve.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ingestion_pipeline.control import Control
from ingestion_pipeline.enrichment.asking import Asked, distinct, quoted
from ingestion_pipeline.llm import ChatModel, read_json
from ingestion_pipeline.model.chunks import Chunk

_BEGINNING_TOKENS = 2000
_SAMPLE_TOKENS = 1000
_SAMPLES = 2
"""Passages that are read besides the beginning, at equal distances."""
_MAX_PASSAGE = 10_000
"""Characters, for chunks of thousands of tokens."""
_MAX_VALUE = 500
_MAX_VALUES = 50
_UNKNOWN = frozenset(
    {"", "unknown", "none", "null", "n/a", "na", "not specified", "not found", "-"}
)

Metadata = dict[str, str | list[str]]


def passages(chunks: Sequence[Chunk]) -> list[str]:
    """Return what is read of a document: its beginning, and samples of the rest."""
    end = _end(chunks, 0, _BEGINNING_TOKENS)
    ranges = [(0, end)]
    rest = len(chunks) - end
    for number in range(1, _SAMPLES + 1):
        start = max(ranges[-1][1], end + rest * number // (_SAMPLES + 1))
        ranges.append((start, _end(chunks, start, _SAMPLE_TOKENS)))
    texts = ("\n\n".join(chunk.text for chunk in chunks[start:end]) for start, end in ranges)
    return [text[:_MAX_PASSAGE] for text in texts if text]


def asked_metadata(
    passage: str, schema: Mapping[str, str], llm: ChatModel, control: Control
) -> Asked[Metadata]:
    """Return what a model reads in a passage for the fields of a schema, once or not at all."""
    string_or_list = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    answer = llm.chat(
        "You extract metadata. For each field of this JSON object, whose values say what to put "
        f"there, find the value in the text: {json.dumps(dict(schema), ensure_ascii=False)}. "
        "Answer with one JSON object with the same keys; leave out a field that the text does not "
        "tell, and invent nothing. A value is a string, or a list of strings.",
        quoted(passage),
        max_tokens=200 + 60 * len(schema),
        temperature=0.0,
        json_schema={"type": "object", "properties": dict.fromkeys(schema, string_or_list)},
        control=control,
    )
    value = read_json(answer.text)
    if not isinstance(value, dict):
        return Asked((), answer.tokens)
    found = {field: _values(value.get(field)) for field in schema}
    read = {field: _plain(values) for field, values in found.items() if values}
    return Asked((read,), answer.tokens)


def merged(parts: Sequence[Metadata]) -> Metadata:
    """Put together what was read in several passages; nothing is repeated."""
    fields = dict.fromkeys(field for part in parts for field in part)
    return {
        field: _plain(distinct([v for part in parts for v in _values(part.get(field))]))
        for field in fields
    }


def _end(chunks: Sequence[Chunk], start: int, tokens: int) -> int:
    """Return where the chunks from ``start`` on end that fit into so many tokens; one does."""
    end = start
    while end < len(chunks) and (end == start or chunks[end].tokens <= tokens):
        tokens -= chunks[end].tokens
        end += 1
    return end


def _values(value: object) -> list[str]:
    if isinstance(value, list):
        return distinct([each for item in value for each in _values(item)])[:_MAX_VALUES]
    if isinstance(value, bool):
        return [str(value).lower()]
    if not isinstance(value, (str, int, float)):
        return []
    text = " ".join(str(value).split())[:_MAX_VALUE]
    return [] if text.casefold() in _UNKNOWN else [text]


def _plain(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
