"""What a source holds, without reading it: files, objects and pages, in one order.

Belongs here: what listings have in common, and which files of a source are wanted. Does not belong
here: how each kind of source is looked at (``folder_listing``, ``bucket_listing``,
``web_listing``) and what follows from a look (``tasks.following``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.storage.source_rules import SourcePolicy

LEFT_OVER = ("~$*", "*.tmp", "*.part", "*.crdownload", "Thumbs.db", "desktop.ini")
"""What programs leave in folders and nobody looks for."""
BUDGET_SECONDS = 2.0


@dataclass(frozen=True)
class Found:
    """Something that a source holds; ``signature`` changes when its content does."""

    uri: str
    signature: str
    bytes: int | None = None
    """Its size, where the source tells."""
    settled: bool = True
    """False of what may still be being written: it is there, and waits for the next look."""


@dataclass(frozen=True)
class Unknown:
    """What could not be looked at: one URI, or all below one that ends with '/'."""

    uri: str
    reason: str

    def covers(self, uri: str) -> bool:
        """Whether nothing can be said of this URI."""
        return uri == self.uri or (self.uri.endswith("/") and uri.startswith(self.uri))


class Lister(Protocol):
    """Looks at a source."""

    def look(
        self, policy: SourcePolicy, after: str, known: Mapping[str, str]
    ) -> Iterator[Found | Unknown]:
        """Yield what there is by URI, from the first one behind ``after`` on.

        ``known`` are the signatures from last time. What is neither yielded nor unknown is not
        there.

        Raises:
            IngestError: when the source cannot be looked at; nothing follows from what was
                yielded about what was not.
        """
        ...


class Vanished(StrEnum):
    """What becomes of a document whose file is gone."""

    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class Source:
    """A source that a collection follows."""

    name: str
    collection: CollectionName
    kind: str
    address: str
    """As people read it."""
    lister: Lister
    vanished: Vanished = Vanished.DELETE
    max_vanished: float = 0.2
    """The share of all files, in 0..1, that may vanish at once without a person's word."""
    budget_seconds: float = BUDGET_SECONDS
    """After how long a look is cut short, to be gone on with at the next tick."""


@dataclass(frozen=True)
class Patterns:
    """Which files of a source are wanted, by their paths below it.

    ``*`` and ``?`` stay within a name, ``**`` crosses folders. A pattern without '/' is about
    names at any depth. What excludes a folder excludes everything below it.
    """

    include: tuple[str, ...] = ()
    """None means all."""
    exclude: tuple[str, ...] = LEFT_OVER
    hidden: bool = False
    """Whether names that begin with a dot are wanted too."""

    def takes(self, path: str) -> bool:
        """Whether the file with this path is wanted."""
        return self.enters(path) and (
            not self.include or any(each.fullmatch(path) for each in self._included)
        )

    def enters(self, path: str) -> bool:
        """Whether anything below this folder can be wanted."""
        if not self.hidden and any(part.startswith(".") for part in path.split("/")):
            return False
        return not any(each.fullmatch(path) for each in self._excluded)

    @cached_property
    def _included(self) -> list[re.Pattern[str]]:
        return [re.compile(_expression(each), re.DOTALL) for each in self.include]

    @cached_property
    def _excluded(self) -> list[re.Pattern[str]]:
        return [re.compile(_expression(each) + "(/.*)?", re.DOTALL) for each in self.exclude]


_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")
_MEANINGS = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _expression(pattern: str) -> str:
    where = "" if "/" in pattern else "(.*/)?"
    parts = _PARTS.findall(pattern.strip("/"))
    return where + "".join(_MEANINGS.get(part) or re.escape(part) for part in parts)
