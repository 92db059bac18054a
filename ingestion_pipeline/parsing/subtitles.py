"""Subtitles (.srt, .vtt): what is said, without numbers and times.

Sources: WebVTT (W3C), whose cues SubRip's are like.
"""

from __future__ import annotations

import re

from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.builder import DocumentBuilder
from ingestion_pipeline.parsing.cleaning import clean, one_line
from ingestion_pipeline.parsing.detection import FileType
from ingestion_pipeline.parsing.encoding import decode

_TIME = r"(?:(\d+):)?(\d\d):(\d\d)[,.](\d{3})"
_CUE = re.compile(
    rf"^[ \t]*{_TIME}[ \t]+-->[ \t]+{_TIME}[^\n]*\n((?:[^\n]*\S[^\n]*\n?)*)", re.MULTILINE
)
_SPEAKER = re.compile(r"<v(?:\.[^ <>]{0,99})? ([^<>]{1,99})>")
_MARKUP = re.compile(r"</?[a-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}", re.IGNORECASE)
_PAUSE = 3.0
"""Seconds without a word that end a paragraph."""
_LONGEST = 1000
"""Characters after which a paragraph ends anyway."""


def parse_subtitles(data: bytes) -> ParsedDocument:
    """Read cues; those that follow each other closely are a paragraph."""
    builder = DocumentBuilder()
    said: list[str] = []
    last = 0.0
    for cue in _CUE.finditer(clean(decode(data)).lstrip("\ufeff")):
        text = one_line(_MARKUP.sub("", _SPEAKER.sub(r"\1: ", cue[9])))
        begins, ends = _seconds(cue, 1), _seconds(cue, 5)
        is_other = _SPEAKER.search(cue[9]) or sum(map(len, said)) > _LONGEST
        if is_other or begins - last > _PAUSE:
            builder.text(ElementCategory.NARRATIVE_TEXT, " ".join(said))
            said.clear()
        if text and text not in said[-1:]:  # live captions repeat the line before
            said.append(text)
        last = ends
    builder.text(ElementCategory.NARRATIVE_TEXT, " ".join(said))
    return builder.document(FileType.SUBTITLES)


def _seconds(cue: re.Match[str], group: int) -> float:
    hours, minutes, seconds, thousandths = (int(cue[group + i] or 0) for i in range(4))
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000
