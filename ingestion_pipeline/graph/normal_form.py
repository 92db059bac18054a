"""The form in which names are compared.

Belongs here: what two ways of writing a name have to have in common to be one name, whatever is
known besides. Does not belong here: names that differ in it and are of one thing all the same
(``resolution``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from ingestion_pipeline.model.graph import EntityType

WORD_CHARACTER = (
    r"[\w&+#\u0300-\u036f\u05b0-\u05c7\u064b-\u0652\u0900-\u0963\u0966-\u0dff"
    r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u200c\u200d]"
)
"""Letters, digits, what is read like a letter, and the marks that vowels are in some scripts."""
_POSSESSIVE = re.compile(r"['’](?:s\b|(?=\s|$))")  # noqa: RUF001 - as it is printed
_WITHIN_WORDS = re.compile(r"(?<=\w)['’](?=\w)|(?<=\b[^\W\d])\.")  # noqa: RUF001
"""What stands in a word without parting it: ``O'Brien``, ``U.S.``."""
_PART = re.compile(rf"(?=[&+#]*\w){WORD_CHARACTER}+(?:[.,]\d+)*")
_REMARK = re.compile(r"\s*\(([^()]*)\)\s*$")
_LETTERS = re.compile(r"[^\W\d_]{3,}|[\u3400-\u9fff]+")
_VERSIONS = frozenset({"copy", "draft", "final", "new", "old", "revised", "signed", "version"})
_DIGITS = re.compile(r"\d+|\b[ivxlcdm]+\b")
_BEHIND_NAMES = "|*>•·◦▪‣–—_`~[]<= \t\n"  # noqa: RUF001
_BEFORE_NAMES = "#-" + _BEHIND_NAMES
"""Bullets, borders of cells and marks of Markdown; "C#" and "A-" end otherwise."""
_DETERMINERS = frozenset({"a", "an", "the"})
_TITLES_OF_PEOPLE = "mr mrs ms miss dr prof professor sir dame madam rev hon"
_LEGAL_FORMS = """
inc incorporated corp corporation co ltd limited llc llp lp plc gmbh ag kg kgaa se sa sas sarl srl
spa nv bv oy oyj ab asa aps pty
"""
_HONORIFICS = frozenset(_TITLES_OF_PEOPLE.split())
_LEGAL = frozenset(_LEGAL_FORMS.split())
_SAME_IN_PLURAL = ("ss", "us", "is", "series", "species")
_FEWEST_LETTERS = 4


@lru_cache(maxsize=2**16)
def normal_form(name: str, kind: EntityType = EntityType.OTHER) -> str:
    """Return the key of a name: words in small letters, without what is left out as one likes.

    That is determiners, possessives, punctuation, a company's legal form, a person's title. Empty
    for what holds no letter and no digit.
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    parts = _PART.findall(_WITHIN_WORDS.sub("", _POSSESSIVE.sub("", text)))
    first, last = 0, len(parts)
    while first < last - 1 and parts[first] in _DETERMINERS:
        first += 1
    if kind is EntityType.PERSON:
        while first < last - 1 and parts[first] in _HONORIFICS:
            first += 1
    elif kind is not EntityType.CONCEPT:
        while last > first + 1 and parts[last - 1] in _LEGAL:
            last -= 1
    key = " ".join(parts[first:last])
    return key if any(map(str.isalnum, key)) else ""


def bare(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where a name begins and ends without the marks of lists and tables beside it.

    Of several cells it is the last one; of nothing but marks nothing is left.
    """
    name = text[start:end].rstrip(_BEHIND_NAMES)
    end = start + len(name)
    name = name[name.rfind("|") + 1 :].lstrip(_BEFORE_NAMES)
    return end - len(name), end


def without_remark(title: str) -> str:
    """Return a title without the remark in brackets that tells it from others of that name."""
    return _REMARK.sub("", title) or title


def remark(title: str) -> str:
    """Return what a title says in brackets behind it, in small letters, unless it is a version."""
    found = _REMARK.search(title)
    words = _LETTERS.findall(found[1].casefold()) if found else []
    return found[1].strip().casefold() if found and set(words) - _VERSIONS else ""


def folded(key: str) -> str:
    """Return the key without accents and blanks: what is left of a name however it is typed."""
    if key.isascii():
        return key.replace(" ", "")
    letters = unicodedata.normalize("NFD", key)
    return "".join(each for each in letters if not unicodedata.combining(each) and each != " ")


@lru_cache(maxsize=2**16)
def singular(key: str) -> str:
    """Return the key with its last word in the singular, by the rules of English spelling."""
    if not key.endswith("s") or key.endswith(_SAME_IN_PLURAL):
        return key
    if len(key) - key.rfind(" ") <= _FEWEST_LETTERS:
        return key
    if key.endswith("ies"):
        return key[:-3] + "y"
    if key.endswith(("sses", "shes", "ches", "xes", "zes")):
        return key[:-2]
    return key[:-1]


def digits(key: str) -> tuple[str, ...]:
    """Return the numbers in a key, Roman ones too: names that differ in them are different."""
    return tuple(_DIGITS.findall(key))
