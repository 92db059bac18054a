"""Text that is safe to store, embed and show.

Belongs here: repairs every parser needs. Does not belong here: bytes (``encoding``), structure
(``builder``).
"""

from __future__ import annotations

import re
import unicodedata

_LINE_ENDS = re.compile(r"\r\n?|[\u0085\u2028\u2029]")
_PAGE_BREAKS = re.compile(r"[\v\f]\s*")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufdd0-\ufdef\ufffe\uffff]"
)
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    r"""Return ``text`` in NFC with ``\n`` line ends, plain spaces and nothing invisible.

    Page breaks become blank lines; lone surrogates become U+FFFD, so that the result can always
    be encoded in UTF-8.
    """
    text = _LINE_ENDS.sub("\n", text)
    text = _PAGE_BREAKS.sub("\n\n", text)
    text = _INVISIBLE.sub("", text)
    text = _SPACES.sub(" ", text)
    text = _SURROGATES.sub("\ufffd", text)
    return unicodedata.normalize("NFC", text)


def one_line(text: str) -> str:
    """Return cleaned ``text`` with every run of white space as one space."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())  # nothing to clean, and six times as fast
    return " ".join(clean(text).split())
