"""What a source may be: limits, web addresses, file names.

Belongs here: rules that need no network and no disk. Does not belong here: reading anything
(``sources``, ``source_download``).
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

import idna

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME = 255
"""Most characters of a file name."""
URL_SAFE = "!$%&'()*+,/:;=?@~"
"""What stands in the path and query of a URL as it is; '%' because they are encoded already."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_SHOWN_PATH = 120


@dataclass(frozen=True)
class SourcePolicy:
    """What may be read: ``file:`` sources below ``roots``, and the limits of every source.

    ``own_folder`` and ``own_buckets`` are where this system keeps its state: no source may point
    there, or one tenant could read what another has stored. ``s3_client`` makes a client of boto3
    for each ``s3:`` source; without it, one with the credentials of the environment is made.
    """

    roots: tuple[Path, ...]
    max_bytes: int
    allow_private_addresses: bool
    timeout_seconds: float = 60
    own_folder: Path | None = None
    own_buckets: frozenset[str] = frozenset()
    s3_client: Callable[[], Any] | None = None


@dataclass(frozen=True)
class Fetched:
    """The bytes of a source and a file name for them.

    ``name`` has 1 to 255 printable characters and no separators.
    """

    data: bytes
    name: str


class Deadline:
    """A limit on the whole of a fetch, however slowly it arrives."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            TransientError: of kind ``unavailable`` if none are.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TransientError(
                ErrorKind.UNAVAILABLE,
                f"the source did not arrive within {self._seconds:g} s: try again later",
            )
        return left


def limited(chunks: Iterable[bytes], max_bytes: int, deadline: Deadline) -> bytes:
    """Join ``chunks``, reading no further than the limits of size and time."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        deadline.remaining()
        if len(data) > max_bytes:
            raise too_large(max_bytes)
    return bytes(data)


def too_large(max_bytes: int) -> PermanentError:
    """Return the error for a source over the limit of size."""
    return PermanentError(
        ErrorKind.TOO_LARGE,
        f"the source is larger than {max_bytes} bytes: split it or raise INGEST_MAX_FILE_BYTES",
    )


def safe_name(path: str) -> str:
    """Return the last part of a path as a file name; "" if it has none."""
    last = re.split(r"[/\\]", path)[-1]
    name = "".join(filter(str.isprintable, last)).strip()
    if not name.strip("."):
        return ""
    suffix = PurePosixPath(name).suffix[:MAX_NAME]
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - len(suffix)] + suffix


def checked_url(url: str, *, allow_private: bool) -> str:
    """Return an ``http(s):`` URL in its normal form: ASCII, no default port, no fragment.

    Raises:
        PermanentError: of kind ``invalid_message`` if it cannot be read, ``forbidden_source`` if it
            holds credentials or spells out an address that is not public.
    """
    try:
        parts = urlsplit(url)
        host, port = _ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        # The cause quotes the URL, and with it credentials: it must not be chained.
        raise PermanentError(
            ErrorKind.INVALID_MESSAGE, "the source is not a valid URL: use https://host/path"
        ) from None
    if "@" in parts.netloc:
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"the URL to {host} holds a user name or password: remove it, and use a signed URL "
            "or submit the file itself if the source is protected",
        )
    if not (allow_private or _may_be_public(host)):
        raise private_address(host)
    netloc = f"[{host}]" if ":" in host else host
    if port not in (None, _DEFAULT_PORTS[parts.scheme]):
        netloc += f":{port}"
    path, query = (quote(part, safe=URL_SAFE) for part in (parts.path or "/", parts.query))
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def shown_url(url: str) -> str:
    """Return a checked URL for a message, without the query, which may hold a signature."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path[:_SHOWN_PATH]}"


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to the public internet, and to one host there.

    IPv6 addresses that stand for an IPv4 address (mapped, 6to4, NAT64) are judged by that one;
    of the others only global unicast passes.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(address.packed[-4:])
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast


def private_address(host: str) -> PermanentError:
    """Return the error for a host that is not on the public internet."""
    return PermanentError(
        ErrorKind.FORBIDDEN_SOURCE,
        f"{host} is not on the public internet: use another source, "
        "or set INGEST_ALLOW_PRIVATE_ADDRESSES=true",
    )


def _ascii_host(host: str) -> str:
    if ":" in host:
        if "%" in host:
            raise ValueError("a zone means something on its own machine only")
        return str(IPv6Address(host))
    name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    if not _HOST.fullmatch(name):
        raise ValueError("not a host name")
    return name


def _may_be_public(host: str) -> bool:
    """Return False only for what is known to be private without asking anyone."""
    if ":" in host:
        return is_public(IPv6Address(host))
    name = host.rstrip(".")
    try:
        # Like the resolver, this also reads decimal, octal, hexadecimal and shortened forms.
        return is_public(IPv4Address(socket.inet_aton(name)))
    except OSError:
        return name != "localhost" and not name.endswith(".localhost")
