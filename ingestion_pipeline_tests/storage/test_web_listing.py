from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError
from ingestion_pipeline.storage import web_listing
from ingestion_pipeline.storage.listing import Found, Patterns, Unknown
from ingestion_pipeline.storage.sources import SourcePolicy
from ingestion_pipeline.storage.web_listing import WebLister


class Site(ThreadingHTTPServer):
    """Pages by path: status, headers, body; and what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def put(self, path: str, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (status, named, data)

    def sitemap(self, path: str, *entries: tuple[str, str], kind: str = "urlset") -> str:
        inner = "".join(
            f"<url><loc> {self.url(name) if name.startswith('/') else name} </loc>"
            + (f"<lastmod>{modified}</lastmod>" if modified else "")
            + "</url>"
            for name, modified in entries
        )
        text = (
            f'<?xml version="1.0"?><!-- made --><{kind} '
            f'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{inner}</{kind}>'
        )
        self.put(path, text)
        return text


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        given = self.headers.get("If-None-Match") or self.headers.get("If-Modified-Since")
        self.server.asked.append((self.path, given))
        status, headers, body = self.server.pages.get(self.path, (404, {}, b""))
        if given and given in headers.values():
            status, body = 304, b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def policy(*, private: bool = True) -> SourcePolicy:
    return SourcePolicy(
        roots=(), max_bytes=10_000, allow_private_addresses=private, timeout_seconds=5
    )


def look(
    site: Site,
    *addresses: str,
    sitemap: str | None = None,
    known: dict[str, str] | None = None,
    after: str = "",
    patterns: Patterns = Patterns(),  # noqa: B008 - frozen
) -> dict[str, str | None]:
    """Return the signature of each page by its path, None if it is unknown."""
    lister = WebLister(
        site.url(sitemap) if sitemap else None,
        tuple(site.url(each) for each in addresses),
        patterns,
        pause_seconds=0,
    )
    base = site.url("")
    signatures = {base + path: signature for path, signature in (known or {}).items()}
    found = list(lister.look(policy(), base + after if after else "", signatures))
    assert [each.uri for each in found] == sorted(each.uri for each in found)
    return {
        each.uri.removeprefix(base): each.signature if isinstance(each, Found) else None
        for each in found
    }


def test_a_sitemap_that_tells_when_pages_changed_saves_asking_for_them(site: Site) -> None:
    site.sitemap("/sitemap.xml", ("/b", "2025-03-01"), ("/a", "2025-03-02"))

    assert look(site, sitemap="/sitemap.xml") == {
        "/a": "sitemap:2025-03-02",
        "/b": "sitemap:2025-03-01",
    }
    assert [path for path, _ in site.asked] == ["/sitemap.xml"]


def test_an_index_of_sitemaps_is_followed_and_so_are_compressed_ones(site: Site) -> None:
    site.sitemap("/index.xml", ("/1.xml", ""), ("/2.xml.gz", ""), kind="sitemapindex")
    site.sitemap("/1.xml", ("/a", "1"))
    text = site.sitemap("/2.xml", ("/b", "2"))
    site.put("/2.xml.gz", gzip.compress(text.encode()))

    assert look(site, sitemap="/index.xml") == {"/a": "sitemap:1", "/b": "sitemap:2"}


def test_pages_of_other_hosts_do_not_count(site: Site) -> None:
    site.sitemap(
        "/sitemap.xml", ("/a", "1"), ("http://example.org/b", "1"), ("file:///etc/passwd", "1")
    )

    assert look(site, sitemap="/sitemap.xml") == {"/a": "sitemap:1"}


def test_pages_that_have_not_changed_are_not_sent_again(site: Site) -> None:
    site.put("/etag", "one", ETag='"v1"')
    site.put("/time", "two", Last_Modified="Sat, 01 Mar 2025 00:00:00 GMT")
    site.put("/plain", "three")
    first = look(site, "/etag", "/time", "/plain")

    site.asked.clear()
    assert look(site, "/etag", "/time", "/plain", known=first) == first  # type: ignore[arg-type]
    assert dict(site.asked) == {
        "/etag": '"v1"',
        "/time": "Sat, 01 Mar 2025 00:00:00 GMT",
        "/plain": None,
    }


def test_a_page_that_changed_has_another_signature(site: Site) -> None:
    site.put("/etag", "one", ETag='"v1"')
    site.put("/plain", "three")
    first = look(site, "/etag", "/plain")

    site.put("/etag", "new", ETag='"v2"')
    site.put("/plain", "four")
    second = look(site, "/etag", "/plain", known=first)  # type: ignore[arg-type]

    assert all(first[path] != second[path] for path in first)


@pytest.mark.parametrize("status", [404, 410])
def test_a_page_that_is_gone_is_not_there(site: Site, status: int) -> None:
    site.put("/a", "one")
    site.put("/gone", status=status)

    assert list(look(site, "/a", "/gone")) == ["/a"]


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503])
def test_a_page_that_does_not_answer_is_unknown_and_not_gone(site: Site, status: int) -> None:
    site.put("/a", "one")
    site.put("/b", status=status)

    found = look(site, "/a", "/b")

    assert found["/b"] is None
    assert found["/a"] is not None


def test_a_page_that_redirects_for_ever_is_unknown(site: Site) -> None:
    site.put("/a", status=302, Location="/a")

    assert look(site, "/a") == {"/a": None}


def test_a_look_goes_on_behind_a_page(site: Site) -> None:
    for path in ("/a", "/b", "/c"):
        site.put(path, path)

    assert list(look(site, "/a", "/b", "/c", after="/a")) == ["/b", "/c"]
    assert [path for path, _ in site.asked] == ["/b", "/c"]


def test_patterns_are_about_the_paths_of_pages(site: Site) -> None:
    site.sitemap("/sitemap.xml", ("/docs/a", "1"), ("/docs/old/b", "1"), ("/blog/c", "1"))

    patterns = Patterns(include=("docs/**",), exclude=("docs/old",))
    assert list(look(site, sitemap="/sitemap.xml", patterns=patterns)) == ["/docs/a"]


@pytest.mark.parametrize(
    "body",
    ["<html><body>We are down</body></html>", "not even XML", b"\x1f\x8bdamaged"],
)
def test_what_is_no_sitemap_is_a_failure_and_not_empty(site: Site, body: str | bytes) -> None:
    site.put("/sitemap.xml", body)

    with pytest.raises(PermanentError) as caught:
        look(site, sitemap="/sitemap.xml")
    assert caught.value.kind is ErrorKind.BROKEN


@pytest.mark.parametrize("status", [404, 500])
def test_a_part_of_a_sitemap_that_fails_fails_all_of_it(site: Site, status: int) -> None:
    site.sitemap("/index.xml", ("/1.xml", ""), ("/2.xml", ""), kind="sitemapindex")
    site.sitemap("/1.xml", ("/a", "1"))
    site.put("/2.xml", status=status)

    with pytest.raises(IngestError):
        look(site, sitemap="/index.xml")


def test_a_sitemap_brings_no_file_of_this_machine(site: Site) -> None:
    site.put(
        "/sitemap.xml",
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        f"<urlset><url><loc>{site.url('/a')}</loc><lastmod>&e;</lastmod></url></urlset>",
    )
    site.put("/a", "one", ETag='"v1"')

    assert look(site, sitemap="/sitemap.xml") == {"/a": 'etag:"v1"'}


def test_a_sitemap_that_names_too_much_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_listing, "MAX_PAGES", 1)
    site.sitemap("/sitemap.xml", ("/a", "1"), ("/b", "1"))

    with pytest.raises(PermanentError, match="more than"):
        look(site, sitemap="/sitemap.xml")


def test_addresses_keep_to_the_rules_of_downloads(site: Site) -> None:
    lister = WebLister(None, (site.url("/a"),), Patterns(), pause_seconds=0)

    with pytest.raises(PermanentError, match="public internet"):
        list(lister.look(policy(private=False), "", {}))


def test_pages_are_asked_for_with_a_pause_between(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(web_listing.time, "sleep", pauses.append)
    for path in ("/a", "/b", "/c"):
        site.put(path, path)
    lister = WebLister(
        None, tuple(site.url(path) for path in ("/a", "/b", "/c")), Patterns(), pause_seconds=0.5
    )

    found = list(lister.look(policy(), "", {}))

    assert not any(isinstance(each, Unknown) for each in found)
    assert pauses == [0.5, 0.5]
