"""Reading any language by how names are written: in capitals, in quotation marks.

This is what there is where no model of the language is. A run of words with capitals is a name; one
such word is if it stands within a sentence, or is all capitals; what stands in quotation marks for
names is. Where there are no capitals (Chinese, Arabic, Hindi), what is known to be a name before
reading carries most: titles, headings, defined terms, key phrases.

Belongs here: names by their spelling. Does not belong here: grammar (``linguistic``).
"""

# ruff: noqa: RUF001 - punctuation as it is printed

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import pairwise

from ingestion_pipeline.control import Control
from ingestion_pipeline.graph.normal_form import normal_form
from ingestion_pipeline.graph.reading import Passage, Reading, Span, disjoint, within
from ingestion_pipeline.model.graph import EntityType

_BORDER = re.compile(
    r"(?<!\b\w)(?<!\b\w\w)[.!?…][\"'»”’)\]]*\s+(?![a-zß-öø-ÿа-я])"
    r"|[。！？][」』”]*|\n\s*\n|\n(?![a-zß-öø-ÿа-я])"
)
"""Between sentences: not after one or two letters with a point, nor before a small letter."""
_WORD = re.compile(r"[^\W\d_][\w’'-]*")
_BETWEEN = re.compile(
    r" (?:(?:al|d|da|das|de|degli|dei|del|della|den|der|des|di|do|dos|du|el|la|las|le|les|los|of|"
    r"the|van|von|y|zu|zum|zur) ){0,2}"
)
"""What a name may have between its words."""
_QUOTED = re.compile(
    r"[“„«]\s*([^“”„»«\n]{2,50}?)\s*[”“»]|《([^《》\n]{1,40})》|[「『]([^「」『』\n]{2,30})[」』]"
)
_NOUNS_IN_CAPITALS = frozenset({"de", "lb"})
"""Languages that write every noun like a name."""
_FEWEST_CAPITALS = 2


def read_spelling(passages: Iterable[Passage], control: Control) -> Iterator[Reading]:
    """Yield the reading of each passage; nothing is stated in it."""
    for passage in passages:
        control.check()
        bounds = tuple(sentences(passage.text))
        starts = {start for start, _ in bounds}
        spans = disjoint([*passage.names, *quoted(passage.text), *_runs(passage, starts)])
        yield Reading(bounds, tuple(within(bounds, spans)))


@cache
def _stop_words(language: str | None) -> AbstractSet[str]:
    """Return words that begin sentences without being of the name that follows."""
    from stopwordsiso import has_lang, stopwords

    found: AbstractSet[str] = stopwords(language) if language and has_lang(language) else set()
    return found


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each sentence begins and ends."""
    borders = [0, *(border.end() for border in _BORDER.finditer(text)), len(text)]
    for start, end in pairwise(borders):
        stretch = text[start:end]
        if stretch.strip():
            yield start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())


def quoted(text: str) -> Iterator[Span]:
    """Yield what stands in quotation marks for names."""
    for found in _QUOTED.finditer(text):
        start, end = found.span(found.lastindex or 0)
        if key := normal_form(text[start:end]):
            yield Span(start, end, EntityType.OTHER, key)


def _runs(passage: Passage, starts: set[int]) -> Iterator[Span]:
    """Yield the names among runs of words with capitals."""
    text = passage.text
    words = [word for word in _WORD.finditer(text) if word[0][0].isupper()]
    place = 0
    while place < len(words):
        first = last = words[place]
        place += 1
        if first.start() in starts and first[0].lower() in _stop_words(passage.language):
            continue
        while place < len(words) and _BETWEEN.fullmatch(text, last.end(), words[place].start()):
            last = words[place]
            place += 1
        alone = first is last
        capitals = sum(map(str.isupper, first[0]))
        if alone and first.start() in starts and capitals < _FEWEST_CAPITALS:
            continue
        noun = alone and capitals == 1 and passage.language in _NOUNS_IN_CAPITALS
        kind = EntityType.CONCEPT if noun else EntityType.OTHER
        if key := normal_form(text[first.start() : last.end()], kind):
            yield Span(first.start(), last.end(), kind, key)
