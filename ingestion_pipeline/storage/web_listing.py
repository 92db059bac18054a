"""Looking at web pages: those of a sitemap, or a list of addresses.

A sitemap that says when a page was modified saves asking for the page. Other pages are asked for
one after the other, with a pause between, and on the condition that they have changed.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.storage.listing import Found, Patterns, Unknown
from ingestion_pipeline.storage.source_rules import SourcePolicy, checked_url, shown_url, too_large

MAX_PAGES = 50_000
"""As many as one sitemap may name."""
MAX_SITEMAPS = 100
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class WebLister:
    """Looks at the pages that ``sitemap`` names, and those of ``addresses``."""

    sitemap: str | None
    addresses: tuple[str, ...]
    patterns: Patterns
    pause_seconds: float

    def look(
        self, policy: SourcePolicy, after: str, known: Mapping[str, str]
    ) -> Iterator[Found | Unknown]:
        """Yield the pages; one that does not answer is unknown, one that is gone is not there.

        Raises:
            PermanentError: for a sitemap or an address that cannot be used.
            TransientError: if the sitemap cannot be fetched now.
        """
        pages = {
            checked_url(each, allow_private=policy.allow_private_addresses): ""
            for each in self.addresses
        }
        if self.sitemap:
            pages |= _pages_of(self.sitemap, policy)
        asked = False
        for url, modified in sorted(pages.items()):
            if url <= after or not self.patterns.takes(urlsplit(url).path.strip("/") or "index"):
                continue
            if modified:
                yield Found(url, f"sitemap:{modified}")
                continue
            if asked:
                time.sleep(self.pause_seconds)
            asked = True
            yield from _asked(url, policy, known.get(url))


def _asked(url: str, policy: SourcePolicy, signature: str | None) -> Iterator[Found | Unknown]:
    from ingestion_pipeline.storage.source_download import look_at

    try:
        found = look_at(url, policy, signature)
    except IngestError as error:
        yield Unknown(url, error.message)
        return
    if found is not None:
        yield Found(url, found)


def _pages_of(sitemap: str, policy: SourcePolicy) -> dict[str, str]:
    """Return the pages that a sitemap, or the sitemaps it names, have: address and when modified.

    As the protocol wants it, only pages of the same host count.
    """
    first = checked_url(sitemap, allow_private=policy.allow_private_addresses)
    host = urlsplit(first).netloc
    waiting, seen, pages = [first], {first}, dict[str, str]()
    while waiting:
        is_index, entries = _read(waiting.pop(), policy)
        for address, modified in entries:
            try:
                url = checked_url(address, allow_private=policy.allow_private_addresses)
            except PermanentError:
                continue
            if urlsplit(url).netloc != host:
                continue
            if not is_index:
                pages[url] = modified
            elif url not in seen:
                seen.add(url)
                waiting.append(url)
        if len(seen) > MAX_SITEMAPS or len(pages) > MAX_PAGES:
            raise PermanentError(
                ErrorKind.TOO_LARGE,
                f"{shown_url(first)} names more than {MAX_SITEMAPS} sitemaps or {MAX_PAGES} pages: "
                "make a source of each of its parts",
            )
    return pages


def _read(sitemap: str, policy: SourcePolicy) -> tuple[bool, list[tuple[str, str]]]:
    """Return whether a sitemap names others, and what it names: address and when modified."""
    from lxml import etree

    from ingestion_pipeline.storage.source_download import download

    data = download(sitemap, policy).data
    if data.startswith(_GZIP):
        data = _unzipped(data, policy.max_bytes)
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise _no_sitemap(sitemap) from error
    kind = etree.QName(root).localname
    if kind not in ("urlset", "sitemapindex"):
        raise _no_sitemap(sitemap)
    entries = []
    for entry in root.iterchildren(tag=etree.Element):
        texts = {
            etree.QName(each).localname: (each.text or "").strip()
            for each in entry.iterchildren(tag=etree.Element)
        }
        if texts.get("loc"):
            entries.append((texts["loc"], texts.get("lastmod", "")))
    return kind == "sitemapindex", entries


def _unzipped(data: bytes, max_bytes: int) -> bytes:
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unzipped = decoder.decompress(data, max_bytes)
    except zlib.error as error:
        raise PermanentError(ErrorKind.BROKEN, "the compressed sitemap is damaged") from error
    if decoder.unconsumed_tail:
        raise too_large(max_bytes)
    return unzipped


def _no_sitemap(url: str) -> PermanentError:
    return PermanentError(
        ErrorKind.BROKEN, f"{shown_url(url)} is not a sitemap: name one, or list the addresses"
    )
