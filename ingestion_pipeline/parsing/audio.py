"""Sound: what of it a file is, and what was said as a document.

Belongs here: telling sound by its first bytes, and the form of a transcript. Does not belong here:
writing down what is said, which a language model does (``llm``).
"""

from __future__ import annotations

import re

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder

_SOUNDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2\xfa]"), "audio/mpeg"),
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"OggS"), "audio/ogg"),
    (re.compile(rb"fLaC"), "audio/flac"),
    (re.compile(rb".{4}ftypM4A", re.DOTALL), "audio/mp4"),
    (re.compile(rb"#!AMR"), "audio/amr"),
)
_PARAGRAPH = re.compile(r"\n\s*\n")


def audio_type(data: bytes) -> str | None:
    """Return the media type of a file with sound, None if it is something else."""
    return next((kind for pattern, kind in _SOUNDS if pattern.match(data)), None)


def transcript(text: str, media_type: str) -> ParsedDocument:
    """Return what was said as a document, a paragraph for each blank line in it."""
    builder = DocumentBuilder()
    for paragraph in _PARAGRAPH.split(text):
        builder.text(ElementCategory.NARRATIVE_TEXT, paragraph)
    return builder.document(media_type)
