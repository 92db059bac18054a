"""Downloads from the web that cannot be led into the private network, stalled or flooded.

Belongs here: connections, redirects, answers and bodies. Does not belong here: which URLs and
addresses are allowed (``source_rules``).

The transport is httpcore, of which httpx is made: its network backend is the one place where a
name becomes a connection, so the address that was checked is the address that is used, and
neither proxies nor credentials are taken from the environment.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import zlib
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage.source_rules import (
    URL_SAFE,
    Deadline,
    Fetched,
    SourcePolicy,
    checked_url,
    is_public,
    limited,
    private_address,
    safe_name,
    shown_url,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

MAX_REDIRECTS = 5
CONNECT_SECONDS = 10
"""Longest wait for one address of a host before the next is tried."""

_SUCCESS = frozenset({200, 203})
_NOT_MODIFIED = 304
_GONE = frozenset({404, 410})
_CONDITIONS = {"etag": "If-None-Match", "modified": "If-Modified-Since"}
"""The header by which a server is asked whether something has changed, by kind of signature."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSALS = frozenset({401, 403, 407, 451})
_BUSY = frozenset({408, 425, 429})
_SERVER_ERROR = 500
_PIECE_BYTES = 1024 * 1024


def download(url: str, policy: SourcePolicy) -> Fetched:
    """Fetch a URL that ``checked_url`` gave.

    The time limit covers all redirects; only the resolver keeps to limits of its own.

    Raises:
        PermanentError: of kind ``not_found``, ``forbidden_source``, ``too_large``, ``broken``
            (a damaged compressed body) or ``unsupported`` (an unknown compression).
        TransientError: of kind ``unavailable`` if the server is busy, silent or out of reach.
    """
    return _follow(url, policy, _document)


def look_at(url: str, policy: SourcePolicy, signature: str | None) -> str | None:
    """Return a signature of what is at a URL, which changes when that does; None if it is gone.

    ``signature`` is the one from last time: a server that can say so does not send again what has
    not changed. Of one that names no version, the signature is that of the bytes.

    Raises:
        IngestError: as ``download``.
    """
    kind, _, value = (signature or "").partition(":")
    header = _CONDITIONS.get(kind)
    try:
        return _follow(url, policy, _signature, {header: value.encode("latin-1")} if header else {})
    except _UnchangedError:
        return signature
    except _GoneError:
        return None


class _GoneError(PermanentError):
    """The server says that there is nothing at the URL."""


class _UnchangedError(Exception):
    """The server says that nothing has changed."""


@dataclass(frozen=True)
class _Redirect:
    url: str


def _follow(
    url: str,
    policy: SourcePolicy,
    read: Callable[[str, httpcore.Response, SourcePolicy, Deadline], T],
    headers: Mapping[bytes | str, bytes | str] | None = None,
) -> T:
    """Read what is at a URL, or where it redirects to."""
    deadline = Deadline(policy.timeout_seconds)
    for _ in range(1 + MAX_REDIRECTS):
        answer = _get(url, policy, deadline, read, headers or {})
        if not isinstance(answer, _Redirect):
            return answer
        url = answer.url
    raise PermanentError(
        ErrorKind.NOT_FOUND,
        f"more than {MAX_REDIRECTS} redirects, the last to {shown_url(url)}: "
        "submit the URL of the document itself",
    )


def _get(
    url: str,
    policy: SourcePolicy,
    deadline: Deadline,
    read: Callable[[str, httpcore.Response, SourcePolicy, Deadline], T],
    more: Mapping[bytes | str, bytes | str],
) -> T | _Redirect:
    backend = _GuardedBackend(allow_private=policy.allow_private_addresses, deadline=deadline)
    headers: dict[bytes | str, bytes | str] = {
        "Host": urlsplit(url).netloc,
        "User-Agent": "ingestion-pipeline",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **more,
    }
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend) as pool,
            pool.stream("GET", _transport_url(url), headers=headers) as response,
        ):
            if response.status in _REDIRECTS:
                target = _redirect_target(
                    url, response, allow_private=policy.allow_private_addresses
                )
                return _Redirect(target)
            if response.status == _NOT_MODIFIED and more:
                raise _UnchangedError
            if response.status not in _SUCCESS:
                raise _refused(url, response.status)
            return read(url, response, policy, deadline)
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"{shown_url(url)} cannot be fetched now ({error}): try again later",
        ) from error


def _document(
    url: str, response: httpcore.Response, policy: SourcePolicy, deadline: Deadline
) -> Fetched:
    return Fetched(_body(response, policy, deadline), _name(url, response))


def _signature(
    _url: str, response: httpcore.Response, policy: SourcePolicy, deadline: Deadline
) -> str:
    for kind, header in (("etag", b"etag"), ("modified", b"last-modified")):
        if value := _header(response, header).decode("latin-1"):
            return f"{kind}:{value}"
    return f"sha256:{hashlib.sha256(_body(response, policy, deadline)).hexdigest()}"


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked addresses only, and gives every operation the same deadline."""

    def __init__(self, *, allow_private: bool, deadline: Deadline) -> None:
        self._allow_private = allow_private
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Look the host up once, check every address, connect to the first that answers."""
        failure: Exception = httpcore.ConnectError("no addresses")
        for address in self._checked_addresses(host, port):
            seconds = min(CONNECT_SECONDS, self._deadline.remaining())
            try:
                stream = self._sockets.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                f"the host {host} is not known: check its name, or try again later",
            ) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        # One private address among public ones is refused too: no honest host has both.
        if not (self._allow_private or all(is_public(ip_address(each)) for each in addresses)):
            raise private_address(host)
        return addresses


class _TimedStream(httpcore.NetworkStream):
    """A connection on which a peer cannot gain time by sending a little now and then."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._deadline.remaining())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, self._deadline.remaining())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        seconds = self._deadline.remaining()
        try:
            stream = self._stream.start_tls(ssl_context, server_hostname, seconds)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise _distrusted(server_hostname, error.__cause__) from error
            raise
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _transport_url(url: str) -> httpcore.URL:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return httpcore.URL(
        scheme=parts.scheme.encode(),
        host=(parts.hostname or "").encode(),
        port=parts.port,
        target=target.encode(),
    )


def _redirect_target(url: str, response: httpcore.Response, *, allow_private: bool) -> str:
    location = _header(response, b"location")
    target = urljoin(url, quote(location, safe=URL_SAFE + "#[]"))
    scheme = urlsplit(target).scheme
    if not location:
        raise PermanentError(
            ErrorKind.NOT_FOUND,
            f"{shown_url(url)} redirects to nowhere: submit the URL of the document itself",
        )
    if scheme not in ("http", "https") or (scheme == "http" and url.startswith("https:")):
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"{shown_url(url)} redirects to {scheme}:, which is not followed from there: "
            "submit the document's own https: URL",
        )
    return checked_url(target, allow_private=allow_private)


def _refused(url: str, status: int) -> PermanentError | TransientError:
    where = f"{shown_url(url)} answered with status {status}"
    if status in _BUSY or status >= _SERVER_ERROR:
        return TransientError(ErrorKind.UNAVAILABLE, f"{where}: try again later")
    if status in _REFUSALS:
        return PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"{where}: use a URL that needs no login, or submit the file itself",
        )
    refusal = _GoneError if status in _GONE else PermanentError
    return refusal(ErrorKind.NOT_FOUND, f"{where}: check the URL")


def _distrusted(host: str | None, error: ssl.SSLCertVerificationError) -> PermanentError:
    return PermanentError(
        ErrorKind.FORBIDDEN_SOURCE,
        f"the certificate of {host} is not trusted ({error.verify_message}): correct it on the "
        "server, or name a file with its authority in SSL_CERT_FILE",
    )


def _body(response: httpcore.Response, policy: SourcePolicy, deadline: Deadline) -> bytes:
    length = _header(response, b"content-length")
    if length.isdigit() and int(length) > policy.max_bytes:
        raise too_large(policy.max_bytes)
    encoding = _header(response, b"content-encoding").decode("latin-1").strip().lower()
    chunks: Iterable[bytes] = response.iter_stream()
    if encoding in ("gzip", "x-gzip", "deflate"):
        chunks = _inflated(chunks)
    elif encoding not in ("", "identity"):
        raise PermanentError(
            ErrorKind.UNSUPPORTED,
            f"the server compresses the document as {encoding!r} without being asked to: "
            "submit the file itself",
        )
    return limited(chunks, policy.max_bytes, deadline)


def _inflated(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip or zlib in bounded pieces, so that a small body cannot fill the memory."""
    any_header = zlib.MAX_WBITS | 32
    decoder = zlib.decompressobj(any_header)
    complete = True
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                yield decoder.decompress(rest, _PIECE_BYTES)
                complete, rest = decoder.eof, decoder.unconsumed_tail
                if complete:  # gzip data may go on with another member, or be padded
                    rest = decoder.unused_data.lstrip(b"\0")
                    decoder = zlib.decompressobj(any_header)
    except zlib.error:
        complete = False
    if not complete:
        raise PermanentError(
            ErrorKind.BROKEN, "the compressed document is damaged: submit the file itself"
        )


def _name(url: str, response: httpcore.Response) -> str:
    """Return the name the server gives the document, else the URL's, else the host's."""
    header = Message()
    header["Content-Disposition"] = _header(response, b"content-disposition").decode("latin-1")
    given = [
        safe_name(collapse_rfc2231_value(value))
        for key, value in header.get_params([], "Content-Disposition")
        if key.lower() == "filename"
    ]
    parts = urlsplit(url)
    # An extended form (filename*) comes last, and RFC 6266 prefers it.
    names = (*reversed(given), safe_name(unquote(parts.path)), parts.hostname)
    return next(filter(None, names), "document")


def _header(response: httpcore.Response, name: bytes) -> bytes:
    """Return the first header of that name, b"" if there is none."""
    return next((value for key, value in response.headers if key.lower() == name), b"")
