import gzip
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from ingestion_pipeline.errors import ErrorKind, IngestError, PermanentError, TransientError
from ingestion_pipeline.storage import source_download, sources
from ingestion_pipeline.storage.source_rules import is_public, safe_name
from ingestion_pipeline.storage.sources import SourcePolicy, check_source, fetch_source

MAX_BYTES = 100_000
OPEN = SourcePolicy((), MAX_BYTES, allow_private_addresses=True, timeout_seconds=5)
HASTY = SourcePolicy((), MAX_BYTES, allow_private_addresses=True, timeout_seconds=0.4)
CLOSED = SourcePolicy((), MAX_BYTES, allow_private_addresses=False, timeout_seconds=5)

Lookup = Callable[[str, list[str]], list[str]]


def refusal(uri: str, policy: SourcePolicy, *, fetch: bool = True) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        (fetch_source if fetch else check_source)(uri, policy)
    return caught.value


def failure(uri: str, policy: SourcePolicy) -> TransientError:
    with pytest.raises(TransientError) as caught:
        fetch_source(uri, policy)
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    return caught.value


# --- every scheme ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri", ["ftp://host/a", "gopher://host/a", "data:,a", "object:objects/a", "C:\\a.pdf", "ldap:a"]
)
def test_an_unknown_scheme_is_unsupported_and_the_known_ones_are_named(uri: str) -> None:
    error = refusal(uri, OPEN, fetch=False)
    assert error.kind is ErrorKind.UNSUPPORTED
    assert "file:, http:, https: or s3:" in error.message


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "report.pdf",
        "/etc/passwd",
        "//host/a",
        "http:",
        "http:host",
        "http:///a",
        "http://host:port/",
        "http://host:99999/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://a..b/",
        "http://a b/",
        "http://127%2e0.0.1/",
        "http://good.com\\.evil.com/",
        f"http://{'a' * 64}.com/",
        "http://host/a\nb",
        "http://host/\ud800",
        "file:relative.pdf",
        "file:///a%00b",
        "file:///a?b",
        "file:///a#b",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://Bad_Bucket/key",
        f"s3://bucket/{'k' * 1025}",
    ],
)
def test_what_is_no_usable_uri_is_an_invalid_message(uri: str) -> None:
    assert refusal(uri, OPEN, fetch=False).kind is ErrorKind.INVALID_MESSAGE


@given(
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "file:", "file://", "file:///", "http://", "https://[", "s3://"]),
            st.text(),
        ),
    )
)
def test_whatever_the_text_a_check_answers_with_the_normal_form_or_refuses(uri: str) -> None:
    policy = SourcePolicy((Path("/srv"),), MAX_BYTES, allow_private_addresses=True)
    with suppress(PermanentError):
        checked = check_source(uri, policy)
        assert check_source(checked, policy) == checked


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("HTTP://Example.COM:80", "http://example.com/"),
        (
            "https://example.com:443/a b/ü?q=ä ö#part",
            "https://example.com/a%20b/%C3%BC?q=%C3%A4%20%C3%B6",
        ),
        ("https://example.com:8443/100%25?a=b&c=%20", "https://example.com:8443/100%25?a=b&c=%20"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("http://[2606:4700:0::1111]/", "http://[2606:4700::1111]/"),
        ("S3://bucket/a b/ü#1?.pdf", "s3://bucket/a b/ü#1?.pdf"),
    ],
)
def test_a_source_has_one_normal_form(uri: str, normal: str) -> None:
    assert check_source(uri, CLOSED) == normal
    assert check_source(normal, CLOSED) == normal


@given(st.text())
def test_a_file_name_is_always_safe(path: str) -> None:
    name = safe_name(path)
    assert len(name) <= 255
    assert name.isprintable()
    assert not {"/", "\\"} & set(name)
    assert name not in (".", "..")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/a/b.pdf", "b.pdf"),
        ("..\\..\\b.pdf", "b.pdf"),
        ("a\x00\n\u202eb.pdf ", "ab.pdf"),
        ("a/..", ""),
        ("a/", ""),
        (".env", ".env"),
        ("ü" * 300 + ".docx", "ü" * 250 + ".docx"),
        ("." + "x" * 300, "." + "x" * 254),
    ],
)
def test_a_file_name_keeps_what_is_safe(path: str, name: str) -> None:
    assert safe_name(path) == name


# --- file: ----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "näme 1%.txt").write_bytes(b"inside")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return root


def under(root: Path, max_bytes: int = MAX_BYTES) -> SourcePolicy:
    return SourcePolicy((root,), max_bytes, allow_private_addresses=False)


@pytest.mark.parametrize(
    "start", ["file:", "file://", "file://localhost", "FILE://LocalHost", "file:////"]
)
def test_a_file_under_a_root_is_read_under_any_spelling(tree: Path, start: str) -> None:
    path = tree / "inner" / "näme 1%.txt"
    uri = start + quote(str(path))
    assert check_source(uri, under(tree)) == path.as_uri()
    fetched = fetch_source(uri, under(tree))
    assert (fetched.data, fetched.name) == (b"inside", "näme 1%.txt")


def test_a_path_through_dots_that_stays_inside_is_read_and_named_without_them(tree: Path) -> None:
    uri = f"file://{tree}/inner/.././inner/n%C3%A4me%201%25.txt"
    assert check_source(uri, under(tree)) == (tree / "inner" / "näme 1%.txt").as_uri()
    assert fetch_source(uri, under(tree)).data == b"inside"


def test_a_link_inside_the_root_is_read_and_keeps_its_own_name(tree: Path) -> None:
    link = tree / "latest.txt"
    link.symlink_to(tree / "inner" / "näme 1%.txt")
    assert check_source(link.as_uri(), under(tree)) == link.as_uri()
    assert fetch_source(link.as_uri(), under(tree)).name == "latest.txt"


def test_a_root_may_itself_be_a_link(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "volume"
    link.symlink_to(tree)
    uri = (link / "inner" / "näme 1%.txt").as_uri()
    assert fetch_source(uri, under(link)).data == b"inside"
    assert fetch_source(uri, under(tree)).data == b"inside"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "inner/../../secret.txt",
        "%2e%2e/secret.txt",
        "inner%2F..%2f..%2Fsecret.txt",
        "escape",
        "outside/secret.txt",
        "outside/../secret.txt",
    ],
)
def test_no_path_leads_out_of_the_root(tree: Path, tmp_path: Path, path: str) -> None:
    (tree / "escape").symlink_to(tmp_path / "secret.txt")
    (tree / "outside").symlink_to(tmp_path)
    error = refusal(f"file://{tree}/{path}", under(tree), fetch=False)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert "INGEST_SOURCE_ROOTS" in error.message


@given(
    st.lists(
        st.sampled_from(
            [
                "..",
                ".",
                "%2e%2e",
                "%2E.",
                "",
                "inner",
                "loop",
                "up",
                "secret.txt",
                "%2F",
                "..%2f..",
                "\\..",
            ]
        ),
        max_size=8,
    )
)
def test_no_mixture_of_steps_reads_the_secret(labyrinth: Path, steps: list[str]) -> None:
    with suppress(PermanentError):
        fetched = fetch_source(f"file://{labyrinth}/{'/'.join(steps)}", under(labyrinth))
        assert fetched.data == b"inside"


@pytest.fixture(scope="module")
def labyrinth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with links that lead out and round; "secret.txt" is inside and outside."""
    above = tmp_path_factory.mktemp("labyrinth")
    root = above / "root"
    (root / "inner").mkdir(parents=True)
    (above / "secret.txt").write_bytes(b"secret")
    (root / "inner" / "secret.txt").write_bytes(b"inside")
    (root / "loop").symlink_to(root / "loop")
    (root / "up").symlink_to("..")
    return root


def test_without_roots_no_file_is_read(tree: Path) -> None:
    uri = (tree / "inner" / "näme 1%.txt").as_uri()
    assert refusal(uri, OPEN, fetch=False).kind is ErrorKind.FORBIDDEN_SOURCE


def test_a_folder_whose_name_begins_like_a_root_is_not_under_it(tree: Path) -> None:
    neighbour = tree.with_name("root2")
    neighbour.mkdir()
    (neighbour / "a").write_bytes(b"a")
    error = refusal((neighbour / "a").as_uri(), under(tree))
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE


def test_files_of_other_hosts_are_refused(tree: Path) -> None:
    error = refusal(f"file://server{tree}/inner", under(tree), fetch=False)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE


@pytest.mark.parametrize("name", ["absent", "inner/absent", "loop", "x" * 300, "file/below"])
def test_a_missing_file_is_not_found(tree: Path, name: str) -> None:
    (tree / "loop").symlink_to(tree / "loop")
    (tree / "file").write_bytes(b"")
    assert refusal((tree / name).as_uri(), under(tree)).kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("name", ["inner", ""])
def test_a_folder_is_unsupported(tree: Path, name: str) -> None:
    error = refusal((tree / name).as_uri(), under(tree))
    assert error.kind is ErrorKind.UNSUPPORTED
    assert "folder" in error.message


def test_a_pipe_is_refused_without_waiting_for_a_writer(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert refusal((tree / "pipe").as_uri(), under(tree)).kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("file:///dev/zero", ErrorKind.UNSUPPORTED),
        ("file:///proc/self/environ", ErrorKind.FORBIDDEN_SOURCE),
        ("file:///dev/../proc/version", ErrorKind.FORBIDDEN_SOURCE),
    ],
)
def test_devices_and_the_kernels_files_are_refused_even_if_everything_is_a_root(
    uri: str, kind: ErrorKind
) -> None:
    assert refusal(uri, under(Path("/"))).kind is kind


def test_a_folder_swapped_for_a_link_after_the_check_is_not_followed(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_bytes(b"secret")
    (tree / "inner" / "a.txt").write_bytes(b"inside")
    real_open = os.open

    def swap_then_open(path: str | Path, flags: int, *, dir_fd: int | None = None) -> int:
        if dir_fd is None:  # the root is opened: all checks are over
            (tree / "inner").rename(tmp_path / "gone")
            (tree / "inner").symlink_to(tmp_path / "elsewhere")
        return real_open(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_then_open)
    assert refusal((tree / "inner" / "a.txt").as_uri(), under(tree)).kind is ErrorKind.NOT_FOUND


def test_a_file_may_be_as_large_as_the_limit_but_no_larger(tree: Path) -> None:
    path = tree / "a.txt"
    path.write_bytes(b"x" * 10)
    assert len(fetch_source(path.as_uri(), under(tree, 10)).data) == 10
    error = refusal(path.as_uri(), under(tree, 9))
    assert error.kind is ErrorKind.TOO_LARGE
    assert "INGEST_MAX_FILE_BYTES" in error.message


# --- http: ----------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers by the first part of the path; the rest of it is an argument."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        action, _, argument = self.path[1:].partition("?")[0].partition("/")
        getattr(self, f"do_{action}", self.do_document)(argument)

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_document(self, argument: str) -> None:
        self.answer(b"document")

    def do_status(self, argument: str) -> None:
        self.answer(b"no", status=int(argument))

    def do_to(self, argument: str) -> None:
        self.answer(b"", 302, Location=self.server.redirects[argument])

    def do_hop(self, argument: str) -> None:
        self.answer(b"", 307, Location=f"/hop/{int(argument) - 1}" if argument != "1" else "../end")

    def do_named(self, argument: str) -> None:
        self.answer(b"named", Content_Disposition=self.server.disposition)

    def do_encoded(self, argument: str) -> None:
        self.answer(self.server.body, Content_Encoding=argument)

    def do_announced(self, argument: str) -> None:
        self.answer(b"", Content_Length=argument)

    def do_short(self, argument: str) -> None:
        self.answer(b"half", Content_Length="8")
        self.close_connection = True

    def do_endless(self, argument: str) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            self.wfile.write(bytes(65536))

    def do_drip(self, argument: str) -> None:
        start = {"headers": b"HTTP/1.1 200 OK\r\nX: ", "body": b"HTTP/1.1 200 OK\r\n\r\n"}
        self.wfile.write(start[argument])
        while True:
            self.wfile.write(b"x")
            time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.redirects: dict[str, str] = {}
        self.disposition = ""
        self.body = b""
        self.port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        if context:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what several tests are about."""


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as server:
        yield server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver that knows these names only; each lookup takes the next of several answers."""
    answers: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def lookup(host: str | bytes, port: int, *args: object, **kwargs: object) -> list[object]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in answers:
            return real(host, port, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in answers[name].pop(0).split()
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return answers


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the connections (not to URLs) 127.0.0.1 counts as public, the rest of 127/8 does not."""
    monkeypatch.setattr(
        source_download, "is_public", lambda address: address == ip_address("127.0.0.1")
    )


def test_a_document_is_downloaded_and_named_after_its_url(server: Server) -> None:
    fetched = fetch_source(f"{server.url}/a/r%C3%A9sum%C3%A9%201.pdf?token=t", OPEN)
    assert (fetched.data, fetched.name) == (b"document", "résumé 1.pdf")
    path, headers = server.seen[0]
    assert path == "/a/r%C3%A9sum%C3%A9%201.pdf?token=t"
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert headers["Accept-Encoding"] == "identity"


def test_a_url_without_a_path_is_named_after_its_host(server: Server) -> None:
    assert fetch_source(server.url, OPEN).name == "127.0.0.1"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        ("attachment; filename*=UTF-8''n%C3%A4me.pdf; filename=name.pdf", "näme.pdf"),
        ("attachment; filename=name.pdf; FileName*=UTF-8''n%C3%A4me.pdf", "näme.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''..%2F..%5Cx%0A.pdf", "x.pdf"),
        ("attachment; filename*=nonsense''a.pdf", "a.pdf"),
        ('attachment; filename=".."', "named"),
        ("inline", "named"),
        ("", "named"),
    ],
)
def test_the_server_may_name_the_document_safely(
    server: Server, disposition: str, name: str
) -> None:
    server.disposition = disposition
    assert fetch_source(f"{server.url}/named", OPEN).name == name


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, ErrorKind.NOT_FOUND),
        (410, ErrorKind.NOT_FOUND),
        (401, ErrorKind.FORBIDDEN_SOURCE),
        (403, ErrorKind.FORBIDDEN_SOURCE),
        (418, ErrorKind.NOT_FOUND),
        (206, ErrorKind.NOT_FOUND),
        (300, ErrorKind.NOT_FOUND),
    ],
)
def test_a_refusing_status_is_permanent_and_told(
    server: Server, status: int, kind: ErrorKind
) -> None:
    error = refusal(f"{server.url}/status/{status}?signature=hidden", OPEN)
    assert error.kind is kind
    assert str(status) in error.message
    assert "hidden" not in error.message


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_status_is_transient(server: Server, status: int) -> None:
    assert str(status) in failure(f"{server.url}/status/{status}", OPEN).message


def test_a_server_that_is_not_there_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failure(f"http://127.0.0.1:{port}/", OPEN)


def test_an_unknown_host_is_transient(names: dict[str, list[str]]) -> None:
    assert "nowhere.test" in failure("http://nowhere.test/", OPEN).message


def test_a_body_that_breaks_off_is_transient(server: Server) -> None:
    failure(f"{server.url}/short", OPEN)


@pytest.mark.parametrize("path", ["drip/headers", "drip/body"])
def test_a_server_that_drips_is_given_up_at_the_deadline(server: Server, path: str) -> None:
    start = time.monotonic()
    failure(f"{server.url}/{path}", HASTY)
    assert time.monotonic() - start < 2


def test_a_server_that_says_nothing_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        failure(f"http://127.0.0.1:{silent.getsockname()[1]}/", HASTY)
        failure(f"https://127.0.0.1:{silent.getsockname()[1]}/", HASTY)
    assert time.monotonic() - start < 3


def test_a_host_that_lets_nobody_in_is_given_up_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(address)
        start = time.monotonic()
        failure(f"http://127.0.0.1:{address[1]}/", HASTY)
        assert time.monotonic() - start < 2
        for client in waiting:
            client.close()


@pytest.mark.parametrize("path", [f"announced/{MAX_BYTES + 1}", "endless"])
def test_a_body_over_the_limit_is_too_large_announced_or_not(server: Server, path: str) -> None:
    assert refusal(f"{server.url}/{path}", OPEN).kind is ErrorKind.TOO_LARGE


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_body_is_limited_by_what_it_becomes(
    server: Server, compress: Callable[[bytes], bytes]
) -> None:
    server.body = compress(bytes(MAX_BYTES))
    assert fetch_source(f"{server.url}/encoded/gzip", OPEN).data == bytes(MAX_BYTES)
    server.body = compress(bytes(50_000_000))
    assert len(server.body) < MAX_BYTES
    assert refusal(f"{server.url}/encoded/gzip", OPEN).kind is ErrorKind.TOO_LARGE


def test_a_compressed_body_is_unpacked_in_small_pieces() -> None:
    pieces = source_download._inflated([gzip.compress(bytes(20_000_000))])
    assert max(map(len, pieces)) <= 2**20


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 2**21, 3_000_000])
def test_a_compressed_body_of_any_size_arrives_whole(server: Server, size: int) -> None:
    policy = SourcePolicy((), 2**22, allow_private_addresses=True)
    content = random.Random(size).randbytes(1000) * (size // 1000 + 1)
    for body in (content[:size], bytes(size)):
        server.body = gzip.compress(body)
        assert fetch_source(f"{server.url}/encoded/gzip", policy).data == body


def test_a_gzip_body_of_several_members_is_read_to_its_end(server: Server) -> None:
    server.body = gzip.compress(b"one ") + gzip.compress(b"two") + bytes(512)
    assert fetch_source(f"{server.url}/encoded/x-gzip", OPEN).data == b"one two"


@pytest.mark.parametrize(
    "body", [zlib.compress(b"document" * 99)[:-9], b"not gzip at all"], ids=["cut", "foreign"]
)
def test_a_damaged_compressed_body_is_broken(server: Server, body: bytes) -> None:
    server.body = body
    assert refusal(f"{server.url}/encoded/gzip", OPEN).kind is ErrorKind.BROKEN


def test_an_unknown_compression_is_unsupported(server: Server) -> None:
    error = refusal(f"{server.url}/encoded/br", OPEN)
    assert error.kind is ErrorKind.UNSUPPORTED
    assert "'br'" in error.message


def test_proxies_of_the_environment_are_ignored(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert fetch_source(f"{server.url}/a", OPEN).data == b"document"


@pytest.mark.parametrize(
    "uri",
    [
        "https://user:hunter2@example.com/a",
        "https://hunter2@example.com/a",
        "https://@example.com/a",
        "http://example.com:hunter2@127.0.0.1/",
        "http://user:hunter2@[broken/",
        "http://user:hunter2@exa℀mple.com/",
        "http://user:hunter2@host:hunter2/",
        "ftp://user:hunter2@host/",
        "//user:hunter2@host/",
    ],
)
def test_credentials_in_a_url_are_refused_and_never_repeated(uri: str) -> None:
    error = refusal(uri, OPEN)
    assert "hunter2" not in "".join(traceback.format_exception(error, chain=True)).replace(uri, "")
    assert "hunter2" not in error.message


# --- redirects ------------------------------------------------------------------------------


def test_five_redirects_are_followed_and_the_last_url_gives_the_name(server: Server) -> None:
    assert fetch_source(f"{server.url}/hop/5", OPEN).name == "end"
    error = refusal(f"{server.url}/hop/6", OPEN)
    assert error.kind is ErrorKind.NOT_FOUND
    assert "5 redirects" in error.message


def test_a_redirect_may_hold_characters_that_should_be_encoded(server: Server) -> None:
    server.redirects["here"] = "/a/r\xe9sum\xe9 1.pdf#page=2"
    assert fetch_source(f"{server.url}/to/here", OPEN).data == b"document"
    assert server.seen[-1][0] == "/a/r%E9sum%E9%201.pdf"


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "s3://bucket/key",
        "ftp://host/a",
        "http://user:hunter2@127.0.0.1/",
        "//user:hunter2@127.0.0.1/",
    ],
)
def test_a_redirect_to_anything_but_a_plain_web_address_is_refused(
    server: Server, location: str
) -> None:
    server.redirects["there"] = location
    error = refusal(f"{server.url}/to/there", OPEN)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert "hunter2" not in error.message


def test_a_redirect_to_nowhere_is_not_found(server: Server) -> None:
    server.redirects["there"] = ""
    assert refusal(f"{server.url}/to/there", OPEN).kind is ErrorKind.NOT_FOUND


@pytest.mark.usefixtures("loopback_is_public")
@pytest.mark.parametrize("host", ["inside.test", "127.0.0.2", "2130706434", "localhost", "[::1]"])
def test_a_redirect_into_the_private_network_is_refused(
    server: Server, names: dict[str, list[str]], host: str
) -> None:
    names |= {"public.test": ["127.0.0.1"], "inside.test": ["127.0.0.2"]}
    server.redirects["there"] = f"http://{host}:{server.port}/secret"
    error = refusal(f"http://public.test:{server.port}/to/there", CLOSED)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert [path for path, _ in server.seen] == ["/to/there"]


# --- addresses ------------------------------------------------------------------------------

PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "100::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused_at_once(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    error = refusal(f"http://{host}:8080/", CLOSED, fetch=False)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert "INGEST_ALLOW_PRIVATE_ADDRESSES" in error.message


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_such_an_address_is_refused_when_it_is_looked_up(
    names: dict[str, list[str]], address: str
) -> None:
    names["inside.test"] = [f"8.8.8.8 {address}"]
    assert refusal("http://inside.test/", CLOSED).kind is ErrorKind.FORBIDDEN_SOURCE


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "0",
        "①②⑦.0.0.1",
        "\uff11\uff12\uff17\u30020\u30020\u30021",  # full-width digits, ideographic stops
        "localhost",
        "LOCALHOST.",
        "db.localhost",
    ],
)
def test_other_spellings_of_this_machine_are_refused_at_once(host: str) -> None:
    assert refusal(f"http://{host}/", CLOSED, fetch=False).kind is ErrorKind.FORBIDDEN_SOURCE


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.usefixtures("loopback_is_public")
def test_the_address_that_was_checked_is_the_one_that_is_used(
    server: Server, names: dict[str, list[str]]
) -> None:
    names["rebinding.test"] = ["127.0.0.1", "127.0.0.2"]
    uri = f"http://rebinding.test:{server.port}/a.txt"
    assert fetch_source(uri, CLOSED).data == b"document"
    assert names["rebinding.test"] == ["127.0.0.2"], "looked up once"
    assert server.seen[0][1]["Host"] == f"rebinding.test:{server.port}"
    assert refusal(uri, CLOSED).kind is ErrorKind.FORBIDDEN_SOURCE


def test_the_next_address_is_tried_when_one_does_not_answer(
    server: Server, names: dict[str, list[str]]
) -> None:
    names["twofold.test"] = ["127.0.0.2 127.0.0.1"]
    assert fetch_source(f"http://twofold.test:{server.port}/", OPEN).data == b"document"


# --- https: ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of secure.test, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "secure.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("secure.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with running(Server(context)) as server:
        yield server


def test_tls_is_verified_for_the_name_although_the_address_is_used(
    secure: Server,
    certificate: Path,
    names: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names |= {name: ["127.0.0.1"] * 2 for name in ("secure.test", "other.test")}
    error = refusal(f"https://secure.test:{secure.port}/a", OPEN)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert "SSL_CERT_FILE" in error.message

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch_source(f"https://secure.test:{secure.port}/a", OPEN).data == b"document"
    assert "other.test" in refusal(f"https://other.test:{secure.port}/a", OPEN).message


def test_a_redirect_from_https_to_http_is_refused(
    secure: Server,
    server: Server,
    certificate: Path,
    names: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names["secure.test"] = ["127.0.0.1"] * 3
    secure.redirects |= {
        "plain": f"{server.url}/a",
        "secure": f"https://secure.test:{secure.port}/a",
    }
    server.redirects["secure"] = secure.redirects["secure"]
    error = refusal(f"https://secure.test:{secure.port}/to/plain", OPEN)
    assert error.kind is ErrorKind.FORBIDDEN_SOURCE
    assert server.seen == []
    assert fetch_source(f"https://secure.test:{secure.port}/to/secure", OPEN).data == b"document"


# --- s3: ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        client = boto3.client("s3")
        client.create_bucket(Bucket="sources")
        client.put_object(Bucket="sources", Key="a b/ü#1?%20.pdf", Body=b"object")
        client.put_object(Bucket="sources", Key="large", Body=bytes(MAX_BYTES + 1))
        client.put_object(Bucket="sources", Key="full", Body=bytes(MAX_BYTES))
        client.close()
        sources._s3_session.cache_clear()
        yield "s3://sources"
        sources._s3_session.cache_clear()
    server.stop()


def test_an_object_is_read_under_the_key_as_it_is(bucket: str) -> None:
    fetched = fetch_source(f"{bucket}/a b/ü#1?%20.pdf", CLOSED)
    assert (fetched.data, fetched.name) == (b"object", "ü#1?%20.pdf")


def test_an_object_may_be_as_large_as_the_limit_but_no_larger(bucket: str) -> None:
    assert len(fetch_source(f"{bucket}/full", CLOSED).data) == MAX_BYTES
    assert refusal(f"{bucket}/large", CLOSED).kind is ErrorKind.TOO_LARGE


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize("uri", ["s3://sources/absent", "s3://absent/key"])
def test_an_object_or_bucket_that_is_not_there_is_not_found(uri: str) -> None:
    assert refusal(uri, CLOSED).kind is ErrorKind.NOT_FOUND


def test_a_folder_of_a_bucket_is_unsupported(bucket: str) -> None:
    assert refusal(f"{bucket}/folder/", CLOSED).kind is ErrorKind.UNSUPPORTED


def test_s3_out_of_reach_is_transient(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    failure(f"{bucket}/full", HASTY)


def test_s3_without_credentials_is_forbidden(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sources._s3_session.cache_clear()
    assert refusal(f"{bucket}/full", CLOSED).kind is ErrorKind.FORBIDDEN_SOURCE


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, ErrorKind.FORBIDDEN_SOURCE), (404, ErrorKind.NOT_FOUND), (503, ErrorKind.UNAVAILABLE)],
)
def test_refusals_of_s3_have_their_kinds(
    bucket: str, server: Server, monkeypatch: pytest.MonkeyPatch, status: int, kind: ErrorKind
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with pytest.raises(IngestError) as caught:
        fetch_source(f"s3://status/{status}", OPEN)
    assert caught.value.kind is kind


def test_who_only_checks_does_not_wait_for_the_transports_to_be_imported() -> None:
    code = (
        "import sys; from ingestion_pipeline.storage import sources; "
        "sys.exit(bool({'httpcore', 'boto3'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_state_of_this_system_is_no_source_even_below_an_allowed_root(tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "secret.txt").write_text("of another tenant")
    policy = SourcePolicy(
        (tmp_path,),
        MAX_BYTES,
        allow_private_addresses=False,
        own_folder=state,
        own_buckets=frozenset({"own-bucket"}),
    )

    in_folder = refusal((state / "secret.txt").as_uri(), policy, fetch=False)
    in_bucket = refusal("s3://own-bucket/objects/acme/handbook/x", policy, fetch=False)

    assert in_folder.kind is in_bucket.kind is ErrorKind.FORBIDDEN_SOURCE
    assert check_source("s3://another-bucket/x", policy) == "s3://another-bucket/x"
