"""Times that people write: cron expressions and time zones.

Belongs here: what may stand in one, and what is said of one that may not. Does not belong here:
which moments are meant (``defs.operations.schedules``).
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

EXAMPLE = "'30 2 * * 1-5': minute, hour, day of the month, month, day of the week"
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    """In place of numbers, from ``least`` on."""

    def values(self, text: str) -> set[int]:
        """Return what a field of an expression means."""
        return {value for part in text.split(",") for value in self._range(part)}

    def _range(self, text: str) -> range:
        found = _PART.fullmatch(text)
        if found is None:
            raise ValueError(f"{self.name} {text!r} is not *, a number, a range or a step")
        star, first, last, step = found.groups()
        if step is not None and not 1 <= int(step) <= self.most:
            raise ValueError(f"{self.name} {text!r}: a step is 1 to {self.most}")
        if star:
            return range(self.least, self.most + 1, int(step or 1))
        if step is not None and last is None:
            raise ValueError(f"{self.name} {text!r}: a step needs a range, or *")
        low, high = self._number(first), self._number(last or first)
        if low > high:
            raise ValueError(f"{self.name} {text!r} goes backwards")
        return range(low, high + 1, int(step or 1))

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.least
        if not (text.isascii() and text.isdigit() and self.least <= int(text) <= self.most):
            raise ValueError(f"{self.name} {text!r} is not within {self.least} to {self.most}")
        return int(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)


def checked_cron(text: str) -> str:
    """Return a cron expression with single spaces.

    Raises:
        ValueError: saying what is wrong, for what is none, or never comes.
    """
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(f"a schedule has five fields, as in {EXAMPLE}")
    try:
        _, _, days, months, _ = (
            field.values(part) for field, part in zip(_FIELDS, parts, strict=True)
        )
    except ValueError as error:
        raise ValueError(f"{error}; write it as in {EXAMPLE}") from None
    if min(days) > max(_LONGEST_MONTHS[month - 1] for month in months):
        raise ValueError(f"no such month has a day {min(days)}")
    return " ".join(parts)


def checked_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        ValueError: if there is none, naming the one that is spelt nearest.
    """
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        nearest = difflib.get_close_matches(name, sorted(available_timezones()), n=1, cutoff=0.0)
        meant = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"there is no time zone {name!r}{meant}") from None
    return name


Cron = Annotated[str, AfterValidator(checked_cron)]
"""Five fields of numbers, names, ranges, lists and steps."""
TimeZone = Annotated[str, AfterValidator(checked_zone)]
"""A name of the tz database, such as Europe/Berlin."""
