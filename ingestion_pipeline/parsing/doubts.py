"""Whether a person should look at what was parsed before anybody searches it.

Two doubts: most pages are scans that could not be read, and the text looks like rubbish (broken
font maps, text read in the wrong encoding). Pictures without text leave no doubt: nobody could
find them. Each rule looks for what one kind of damage leaves behind and what no language,
formula, table or program has, so that good documents pass; each share has a margin to the worst
good document that was measured.

Belongs here: pure decisions about a parsed document. Does not belong here: what is done about a
doubt (``stages``, ``tasks``).
"""

from __future__ import annotations

import codecs
import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import cache, lru_cache

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
from ingestion_pipeline.model.elements import ElementCategory, ParsedDocument

_SAMPLE = 200_000
"""Characters that are looked at, in pieces from all over the document."""
_PIECE = 2_000
_FEWEST_CHARACTERS = 60
"""Visible ones; less text says too little about itself."""
_FEWEST_WORDS = 30

_MOST_UNREADABLE = 0.15
"""Share of visible characters. Symbol fonts put bullets and signs into the private use area."""
_MOST_MISREAD = 0.008
"""Share of letters. German has the fewest that are not ASCII: 2 %."""
_MOST_WESTERN = 0.4
"""Share of visible characters that are Western but not ASCII. Icelandic: 11 %."""
_MOST_WIDE = 0.75
"""Share of visible characters of which each is two of ASCII in UTF-16. Chinese: a third."""
_MOST_STRANGE = 0.25
"""Share of words that no language has. Programs with many acronyms: 22 %."""
_SHORTEST_BLOCK = 8
_MOST_IN_BLOCKS = 0.5
_VOWEL_SHARES = (0.27, 0.6)
"""Of Latin letters. Languages have 35 to 51 %, programs 29 to 47 %."""
_FEWEST_LATIN = 0.5
"""Share of letters in words; vowels among less say nothing."""
_MOST_SYMBOLS = 0.5
_MOST_SYMBOL_BITS = 3.2
"""Share and entropy of symbols. Programs and tables that pass one are far from the other: 42 % with
4.2 bits, 61 % with 1.6 bits; letters that became symbols give 57 % or more with 3.4 to 4.1 bits."""

_UTF8 = codecs.getincrementaldecoder("utf-8")
_PROSE = frozenset(ElementCategory) - {ElementCategory.TABLE, ElementCategory.CODE_SNIPPET}
_CODED = re.compile(r"\(cid:\d{1,5}\)")
_UNREADABLE = frozenset({"Co", "Cn", "Cc", "Cs"})
_NOT_ASCII = re.compile(r"[^\x00-\x7f\ufffd]{2,}")
_CODECS: tuple[tuple[str, int], ...] = (
    ("cp1252", 2),
    ("mac_roman", 2),
    ("cp437", 2),
    ("cp850", 2),
    ("cp1250", 2),
    ("cp1251", 2),
    ("koi8_r", 2),
    ("gbk", 4),
    ("big5", 4),
    ("shift_jis", 4),
    ("cp949", 4),
)
"""Codecs that UTF-8 is mistaken for, and how many characters tell them from a coincidence."""
_WORD = re.compile(r"(?<!\w)[^\W\d_]{4,30}(?!\w)")
_WESTERN = frozenset(bytes(range(0x80, 0x100)).decode("cp1252", errors="ignore"))
_CONSONANTS = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}")
_VOWELS = frozenset("aeiouy")
_SCRIPTS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "THAI", "ARMENIAN"})
"""Scripts that do not stand in one word with each other."""


def doubt(parsed: ParsedDocument, name: str) -> PermanentError | None:
    """Return the question whether to go on with a document, None if there is no doubt.

    Args:
        parsed: The document; its pictures are described by now, if they are to be.
        name: The file's name, for the question.

    Returns:
        An error that asks ``GO_ON``: ``empty`` for scans, ``broken`` for rubbish. One that asks
        nothing, ``empty``, for pictures without any text.
    """
    if parsed.scanned_pages > len({element.page for element in parsed.elements}):
        return InputNeededError(ErrorKind.EMPTY, _scanned(parsed, name), Ask.GO_ON)
    if parsed.pictures and not parsed.elements and not parsed.attachments:
        return PermanentError(
            ErrorKind.EMPTY,
            f"{_shown(parsed, name)} no text; configure a model that describes pictures, or ingest "
            "a text about them",
        )
    if reason := _rubbish(parsed):
        return InputNeededError(
            ErrorKind.BROKEN,
            f"the text of {name} looks like rubbish: {reason}; go on to index it as it is, or "
            "cancel and ingest a better copy",
            Ask.GO_ON,
        )
    return None


def _shown(parsed: ParsedDocument, name: str) -> str:
    if parsed.media_type.startswith("image/") and len(parsed.pictures) == 1:
        return f"the picture {name} holds"
    return f"the pictures in {name} hold"


def _scanned(parsed: ParsedDocument, name: str) -> str:
    gives = "the text of the other pages alone" if parsed.elements else "a document without text"
    return (
        f"{parsed.scanned_pages} of {parsed.pages} pages of {name} are scans without text, and no "
        f"text recognition (OCR) is installed: go on to get {gives}, or cancel, install "
        "ingestion-pipeline[ocr] and ingest it again"
    )


def _rubbish(parsed: ParsedDocument) -> str | None:
    """Return what is wrong with the text, if something is."""
    text = _sample(parsed, frozenset(ElementCategory))
    visible = _visible(text)
    if visible.total() < _FEWEST_CHARACTERS:
        return None
    if _coded_share(text) + _share(_is_unreadable, visible) > _MOST_UNREADABLE:
        return "many of its characters stand for nothing (a font without a map to text?)"
    if not text.isascii() and (
        _misread_share(text) > _MOST_MISREAD
        or _share(_WESTERN.__contains__, visible) > _MOST_WESTERN
        or _share(_is_wide, visible) > _MOST_WIDE
    ):
        return "it was written in another encoding than it was read in"
    prose = _sample(parsed, _PROSE)
    of_prose = visible if prose == text else _visible(prose)
    if _makes_no_words(_words(prose)) or _is_letters_in_disguise(of_prose):
        return "its letters make no words (a font with a wrong map to text?)"
    return None


def _sample(parsed: ParsedDocument, wanted: Collection[ElementCategory]) -> str:
    """Return the text, or evenly spaced pieces where it is long."""
    text = "\n".join(each.text for each in parsed.elements if each.category in wanted)
    if len(text) <= _SAMPLE:
        return text
    step = len(text) * _PIECE // _SAMPLE
    return "\n".join(text[start : start + _PIECE] for start in range(0, len(text), step))


def _visible(text: str) -> Counter[str]:
    """Count the characters that are no white space."""
    return Counter("".join(text.split()))


def _share(is_one: Callable[[str], bool], counts: Counter[str]) -> float:
    return sum(count for each, count in counts.items() if is_one(each)) / max(counts.total(), 1)


def _coded_share(text: str) -> float:
    return sum(len(match[0]) for match in _CODED.finditer(text)) / len(text)


def _is_unreadable(character: str) -> bool:
    return character == "\ufffd" or unicodedata.category(character) in _UNREADABLE


def _is_wide(character: str) -> bool:
    """Whether both bytes are printable ASCII, as of ASCII that was read as UTF-16."""
    high, low = divmod(ord(character), 0x100)
    return 0x20 <= high < 0x7F and 0x20 <= low < 0x7F


def _misread_share(text: str) -> float:
    """Return the share of letters that are misread UTF-8: read again, they are other letters."""
    runs = Counter(_NOT_ASCII.findall(text))
    most = max(
        sum(count * _misread_letters(run, codec, fewest) for run, count in runs.items())
        for codec, fewest in _CODECS
    )
    return most / max(sum(map(str.isalpha, text)), 1)


def _misread_letters(run: str, codec: str, fewest: int) -> int:
    """Return how many letters ``run`` is if ``codec`` is what UTF-8 was taken for, else 0."""
    if len(run) < fewest:
        return 0
    try:
        data = run.encode(codec)
    except UnicodeEncodeError:
        return 0
    try:
        again = _UTF8().decode(data)  # a character that is cut off at the end is no error
    except UnicodeDecodeError:
        return 0
    return sum(map(str.isalpha, again))


def _words(text: str) -> list[str]:
    """Return the words of four letters or more, without the marks that Indic vowels are."""
    marks = [each for each in set(text) if unicodedata.category(each).startswith("M")]
    return _WORD.findall(text.translate(dict.fromkeys(map(ord, marks))) if marks else text)


def _makes_no_words(words: Sequence[str]) -> bool:
    """Whether letters stand for others: many words that no language has, or too few vowels."""
    if len(words) < _FEWEST_WORDS or _are_blocks(words):
        return False
    if sum(map(_is_strange, words)) > _MOST_STRANGE * len(words):
        return True
    latin = "".join(filter(str.isascii, map(_plain, words)))
    if len(latin) < _FEWEST_LATIN * sum(map(len, words)):
        return False
    fewest, most = _VOWEL_SHARES
    return not fewest <= sum(map(latin.count, _VOWELS)) / len(latin) <= most


def _are_blocks(words: Sequence[str]) -> bool:
    """Whether letters stand in blocks of one length: a sequence, as of genes, and no text."""
    length, count = Counter(map(len, words)).most_common(1)[0]
    return length >= _SHORTEST_BLOCK and count > _MOST_IN_BLOCKS * len(words)


@lru_cache(maxsize=10_000)
def _is_strange(word: str) -> bool:
    """Whether no language has such a word: scripts or cases mixed, or nobody can say it.

    Names in programs do mix cases, and are Latin.
    """
    scripts = {"LATIN"} if word.isascii() else set(map(_script, word)) & _SCRIPTS
    if len(scripts) != 1:
        return len(scripts) > 1
    if scripts != {"LATIN"}:
        return word[1:] not in {word[1:].lower(), word[1:].upper()}
    plain = _plain(word)
    if not plain.isascii():
        return False
    return not _VOWELS.intersection(plain) or bool(_CONSONANTS.search(plain))


@lru_cache(maxsize=10_000)
def _plain(word: str) -> str:
    """Return a word in lower case without accents."""
    if word.isascii():
        return word.lower()
    parts = unicodedata.normalize("NFD", word.lower())
    return "".join(part for part in parts if not unicodedata.combining(part))


@cache
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _is_letters_in_disguise(visible: Counter[str]) -> bool:
    """Whether ASCII symbols are most of the text, and as varied as letters are."""
    symbols = Counter({each: visible[each] for each in string.punctuation if visible[each]})
    return (
        visible.total() >= _FEWEST_CHARACTERS
        and symbols.total() > _MOST_SYMBOLS * visible.total()
        and _bits(symbols) > _MOST_SYMBOL_BITS
    )


def _bits(counts: Counter[str]) -> float:
    total = counts.total()
    return sum(count / total * math.log2(total / count) for count in counts.values())
