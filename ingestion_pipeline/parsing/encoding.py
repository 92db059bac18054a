"""From bytes to text when nobody, or nobody reliable, says which encoding it is.

Belongs here: byte order marks, declared names and guesses. Does not belong here: whether the
bytes are text at all (``detection``).
"""

from __future__ import annotations

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts like UTF-16's mark, so it is looked for first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 32 * 1024
_ISO_2022 = ((b"\x1b$B", "iso2022_jp"), (b"\x1b$@", "iso2022_jp"), (b"\x1b$)C", "iso2022_kr"))

# What people write as a charset, and the superset of it that is really used (WHATWG Encoding).
_SUPERSETS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_ALIASES = {"x-sjis": "cp932", "windows-31j": "cp932", "ks_c_5601-1987": "cp949", "x-gbk": "gbk"}

_NOT_WRITTEN = [
    *("shift_jis_2004", "shift_jisx0213", "euc_jis_2004", "euc_jisx0213", "johab", "hz", "utf_7"),
    *("utf_16_le", "utf_16_be", "mac_roman", "mac_iceland", "mac_turkish", "mac_latin2"),
    *("mac_greek", "mac_cyrillic"),
]
"""What nearly nobody writes, or is told by other means, and fits nearly anything."""
_HANGUL = re.compile("[\uac00-\ud7a3]")
_HAN = re.compile("[\u3400-\u9fff]")
_WESTERN_LETTERS = frozenset("àáâãäåæçèéêëìíîïñòóôõöøùúûüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŸ")
_WESTERN_SIGNS = frozenset(
    "«»“”\u2018\u2019„\u201a\u2039\u203a\u2013—…•€£§©®™°±·\xd7½¼¾²¡¿ªº\xa0\xad"
)
_SIGNS_OF_BOTH = frozenset("„”“\u2018\u2019\u2013—…§€°«»\xa0\xad")
_ALPHABETS = (
    frozenset("ąćęłńóśźż"),  # Polish
    frozenset("áčďéěíňóřšťúůýž"),  # Czech
    frozenset("áäčďéíĺľňóôŕšťúýž"),  # Slovak
    frozenset("áéíóöőúüű"),  # Hungarian
    frozenset("ăâîşţ"),  # Romanian
    frozenset("čćđšž"),  # Croatian, Slovenian
)
_HUNGARIAN = re.compile("(?=.*[őű])(?=.*[öü])(?=.*[áíóú])", re.IGNORECASE | re.DOTALL)
"""Letters that code page 1252 has as õ and û, and that no other language mixes with the others."""
_MOST_ACCENTED = 0.25
"""Largest share of accented letters in European text; Greek or Cyrillic read in the wrong code page
consist of almost nothing else."""


def decode(data: bytes, declared: str | None = None) -> str:
    """Return ``data`` as text; what cannot be decoded becomes U+FFFD.

    A byte order mark wins; then ``declared`` if the bytes agree with it; then a guess.
    """
    encoding = marked_encoding(data)
    if encoding is None and declared is not None:
        encoding = _fitting(data, declared)
    return data.decode(encoding or guess_encoding(data), errors="replace")


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that a byte order mark names."""
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


def unmarked_wide_encoding(data: bytes) -> str | None:
    """Return UTF-16 or UTF-32 without a mark, told by where the zero bytes are."""
    sample = data[: _SAMPLE_BYTES // 4 * 4]
    for width, encodings in ((4, ("utf-32-le", "utf-32-be")), (2, ("utf-16-le", "utf-16-be"))):
        units = len(sample) // width
        if units < 2:
            continue
        zeros = [sample[offset::width].count(0) / units for offset in range(width)]
        last_zero, first_zero = min(zeros[1:]), min(zeros[:-1])
        if last_zero > 0.5 and zeros[0] < 0.1:
            return encodings[0]
        if first_zero > 0.5 and zeros[-1] < 0.1:
            return encodings[1]
    return None


def guess_encoding(data: bytes) -> str:
    """Return the likeliest encoding of text in ``data``."""
    marked = marked_encoding(data) or unmarked_wide_encoding(data)
    if marked:
        return marked
    for escape, encoding in _ISO_2022:
        if escape in data and data.isascii():
            return encoding
    if _is_mostly_utf8(data):
        return "utf-8"
    return _guess_legacy(_sample_of_lines_with_high_bytes(data))


def _fitting(data: bytes, declared: str) -> str | None:
    """Return the codec for a declared charset unless the bytes contradict it."""
    if not data.isascii() and _is_utf8(data):
        return "utf-8"  # nothing else looks like it, and many pages declare what they once were
    name = declared.strip().lower()
    try:
        name = codecs.lookup(_ALIASES.get(name, name)).name
    except (LookupError, ValueError):  # the latter for a name with a zero byte
        return None
    name = _SUPERSETS.get(name, name)
    if name.startswith(("utf-16", "utf-32")):
        return None  # without zero bytes or a mark, that declaration cannot be read as such
    text = data.decode(name, errors="replace")
    return name if text.count("\ufffd") <= len(text) // 100 else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_mostly_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, but for a few that are damaged or cut."""
    if _is_utf8(data):
        return True
    text = data.decode("utf-8", errors="replace")
    damaged = text.count("\ufffd")
    multibyte = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text)))
    return damaged * 10 <= multibyte


def _sample_of_lines_with_high_bytes(data: bytes) -> bytes:
    sample = bytearray()
    for line in data.splitlines(keepends=True):
        if not line.isascii():
            sample += line
        if len(sample) >= _SAMPLE_BYTES:
            break
    return bytes(sample[: 2 * _SAMPLE_BYTES])


def _guess_legacy(sample: bytes) -> str:
    central = _central_european(sample)
    if central and _HUNGARIAN.search(sample.decode(central)):
        return central
    if _looks_western(sample):
        return "cp1252"
    if central:
        return central
    from charset_normalizer import from_bytes

    found = list(from_bytes(sample, cp_exclusion=_NOT_WRITTEN))
    if not found:
        return "cp1252"
    as_likely = [each for each in found if each.chaos == found[0].chaos]
    best = next((each for each in as_likely if not _is_mixed_korean(str(each))), found[0])
    return _SUPERSETS.get(best.encoding, best.encoding)


def _is_mixed_korean(text: str) -> bool:
    """Whether Chinese characters stand where Korean is read: short Chinese in the wrong code."""
    return bool(_HANGUL.search(text)) and bool(_HAN.search(text))


def _looks_western(sample: bytes) -> bool:
    """Whether code page 1252 gives text that a Western European language could be."""
    try:
        text = sample.decode("cp1252")
    except UnicodeDecodeError:
        return False
    accented = {character for character in text if character > "\x7f"}
    if not accented <= _WESTERN_LETTERS | _WESTERN_SIGNS:
        return False
    if "ø" in accented and accented & set("ìè"):
        return False  # Czech in code page 1250
    if accented >= set("¾èæ"):
        return False  # Croatian in ISO 8859-2
    return _is_little_accented(text)


def _central_european(sample: bytes) -> str | None:
    """Return the code page that gives nothing but letters of one language of Central Europe."""
    for encoding in ("cp1250", "iso8859_2"):
        text = sample.decode(encoding, errors="replace").lower()
        accented = {character for character in text if character > "\x7f"} - _SIGNS_OF_BOTH
        fits = any(accented <= alphabet for alphabet in _ALPHABETS)
        if fits and len(accented) > 1 and _is_little_accented(text):
            return encoding
    return None


def _is_little_accented(text: str) -> bool:
    letters = sum(character.isalpha() for character in text)
    high = sum(character.isalpha() and character > "\x7f" for character in text)
    return high <= letters * _MOST_ACCENTED
