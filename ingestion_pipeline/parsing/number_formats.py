"""Numbers in spreadsheets as a person sees them, by the cell's number format.

Followed: percent, decimals, thousands, currency and other literal text, signs, exponents, dates.
Dates are written as ISO 8601 whatever their order in the format, so that they are unambiguous.
Not followed: fractions, colours, conditions; such numbers are shown as in format "General".
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

GENERAL = "General"
BUILT_IN: dict[int, str] = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00",
    14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
    19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0",
    38: "#,##0", 39: "#,##0.00", 40: "#,##0.00", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss",
    48: "##0.0E+0",
}  # fmt: skip
"""Formats that files name by number only (ECMA-376, part 1, 18.8.30)."""

_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - sheets know no time zones
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_DAY = 2_958_465  # 9999-12-31
_DAY_SECONDS = 86_400

_LITERAL = r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.'
_SECTION = re.compile(rf"(?:{_LITERAL}|[^;])*", re.DOTALL)
_LITERALS = re.compile(_LITERAL, re.DOTALL)
_DIGITS = re.compile(r"general|[0#?][0#?,.]*(?:E[+-][0#?]+)?|[.][0#?]+", re.IGNORECASE)
_CURRENCY = re.compile(r"\[\$([^\]-]*)")
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)


class _Format(NamedTuple):
    """One section of a format."""

    before: str
    digits: str
    after: str


def shown(value: float, code: str, *, since_1904: bool = False) -> str:
    """Return a number as a cell with number format ``code`` shows it."""
    sections = _sections(code)
    section = sections[0]
    if value < 0 and len(sections) > 1:
        section, value = sections[1], -value
    elif value == 0 and len(sections) > 2:
        section = sections[2]
    if _is_date(section):
        return _date(value, section, since_1904=since_1904)
    parts = _split(section)
    if parts is None:
        return general(value)
    number = _number(value, parts.digits, percent="%" in parts.before + parts.after)
    sign = "-" if number.startswith("-") else ""
    return f"{sign}{parts.before}{number.removeprefix('-')}{parts.after}".strip()


def general(value: float) -> str:
    """Return a number without a format: 11 digits at most, none after the point for nothing."""
    if abs(value) < 1e15 and value == int(value):
        return str(int(value))
    return f"{value:.11g}"


@lru_cache(maxsize=1000)
def _sections(code: str) -> list[str]:
    return [match for match in _SECTION.findall(code) if match] or [GENERAL]


@lru_cache(maxsize=1000)
def _is_date(section: str) -> bool:
    if section.lower().startswith("general"):
        return False
    return bool(_ELAPSED.search(section)) or bool(
        set(_LITERALS.sub("", section).lower()) & set("dmyhs")
    )


def _date(value: float, section: str, *, since_1904: bool) -> str:
    """Return date, time or both, as the format has them."""
    if not 0 <= value <= _LAST_DAY:
        return general(value)
    seconds = round(value * _DAY_SECONDS)
    if _ELAPSED.search(section):
        hours, rest = divmod(seconds, 3600)
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    moment = (_EPOCH_1904 if since_1904 else _EPOCH) + timedelta(seconds=seconds)
    letters = set(_LITERALS.sub("", section).lower())
    time = f"{moment:%H:%M:%S}" if "s" in letters else f"{moment:%H:%M}"
    if not letters & set("dy"):
        return time if letters & set("hs") else f"{moment:%Y-%m}"
    if letters & set("hs"):
        return f"{moment:%Y-%m-%d} {time}"
    return (
        f"{moment:%Y-%m-%d}"
        if "d" in letters
        else f"{moment:%Y-%m}"
        if "m" in letters
        else f"{moment:%Y}"
    )


@lru_cache(maxsize=1000)
def _split(section: str) -> _Format | None:
    """Return text, digits and text; None for what is not followed."""
    plain = _LITERALS.sub(lambda match: "\0" * len(match[0]), section)
    if "/" in plain or "@" in plain:
        return None
    found = _DIGITS.search(plain)
    if found is None:
        return _Format(_text(section), "", "")
    return _Format(_text(section[: found.start()]), found[0], _text(section[found.end() :]))


def _text(part: str) -> str:
    return _LITERALS.sub(_literal, part)


def _literal(match: re.Match[str]) -> str:
    text = match[0]
    if text.startswith("["):
        currency = _CURRENCY.match(text)
        return currency[1] if currency else ""
    if text.startswith('"'):
        return text[1:-1]
    return text[1] if text.startswith("\\") else ""


def _number(value: float, digits: str, *, percent: bool) -> str:
    """Return the number with the digits that the format asks for."""
    if percent:
        value *= 100
    if digits in ("", GENERAL):
        return general(value) if digits else ""
    mantissa, exponent, _ = digits.upper().partition("E")
    whole, _, decimals = mantissa.partition(".")
    places = sum(decimals.count(digit) for digit in "0#?")
    if exponent:
        return f"{value:.{places}E}"
    value /= 1000 ** (len(mantissa) - len(mantissa.rstrip(",")))
    separator = "," if "," in whole.rstrip(",") else ""
    width = whole.count("0") + (places + 1 if places else 0) + (value < 0)
    text = f"{value:0{width if not separator else ''}{separator}.{places}f}"
    optional = places - decimals.count("0")
    while optional and text.endswith("0"):
        text = text[:-1]
        optional -= 1
    return text.removesuffix(".")
