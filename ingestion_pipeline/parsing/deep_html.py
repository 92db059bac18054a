"""The text of pages that nest deeper than libxml2 may: their words and paragraphs, and no more.

Belongs here: what is left where there can be no tree. Does not belong here: all other pages
(``html``).
"""

from __future__ import annotations

from collections.abc import Collection
from html.parser import HTMLParser


def text_of(source: str, blocks: Collection[str], left_out: Collection[str]) -> str:
    """Return the text of a page, an empty line where one of the ``blocks`` begins or ends.

    What stands in elements that are ``left_out`` is left out.
    """
    reader = _Reader(blocks, left_out)
    reader.feed(source)
    reader.close()
    return "".join(reader.parts)


class _Reader(HTMLParser):
    def __init__(self, blocks: Collection[str], left_out: Collection[str]) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._blocks = blocks
        self._left_out = left_out
        self._within: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if self._within is None and tag in self._left_out:
            self._within = tag
        self._part(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = None
        self._part(tag)

    def handle_data(self, data: str) -> None:
        if self._within is None:
            self.parts.append(data)

    def _part(self, tag: str) -> None:
        if tag in self._blocks and self.parts and self.parts[-1] != "\n\n":
            self.parts.append("\n\n")
