"""Sources: bytes from outside, named by ``file:``, ``http:``, ``https:`` and ``s3:`` URIs.

Belongs here: the choice by scheme, and reading files and S3. Does not belong here: downloads
(``source_download``), the rules they share (``source_rules``), stored objects (``objects``).
"""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_to_bytes

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.storage.source_rules import (
    Deadline,
    Fetched,
    SourcePolicy,
    checked_url,
    limited,
    safe_name,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

__all__ = ["Fetched", "SourcePolicy", "check_source", "fetch_source", "source_name"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.+)", re.DOTALL)
_MAX_S3_KEY_BYTES = 1024
_KERNEL_FOLDERS = (Path("/proc"), Path("/sys"))
"""Their files look regular, but reading may hang, or tell the secrets of this process."""
_CHUNK_BYTES = 1024 * 1024

_session_in_use = Lock()
"""Threads may share clients, but not a session that makes them."""


def check_source(uri: str, policy: SourcePolicy) -> str:
    """Return the URI in its normal form if the policy allows it; reads nothing, asks nobody.

    A ``file:`` path keeps its symlinks, so that a document stays the same when they turn.

    Raises:
        PermanentError: of kind ``invalid_message`` if it is no usable URI, ``unsupported`` for
            an unknown scheme or a folder, ``forbidden_source`` if the policy is against it.
    """
    scheme = _scheme(uri)
    if scheme == "file":
        path = _file_path(uri)
        _root_of(path, policy)
        return path.as_uri()
    if scheme == "s3":
        bucket, key = _bucket_and_key(uri)
        if bucket in policy.own_buckets:
            raise PermanentError(
                ErrorKind.FORBIDDEN_SOURCE,
                f"the bucket {bucket!r} holds this system's own state: copy the file elsewhere",
            )
        return f"s3://{bucket}/{key}"
    return checked_url(uri, allow_private=policy.allow_private_addresses)


def fetch_source(uri: str, policy: SourcePolicy) -> Fetched:
    """Return the bytes of a source, all of them or none.

    Raises:
        PermanentError: as ``check_source``, and of kind ``not_found``, ``too_large``,
            ``unsupported`` (neither a file nor a document) or ``broken``.
        TransientError: of kind ``unavailable`` if trying again later may help.
    """
    uri = check_source(uri, policy)
    match _scheme(uri):
        case "file":
            return _read_file(_file_path(uri), policy)
        case "s3":
            return _read_s3(uri, policy)
        case _:
            # Its transport takes 0.1 s to import, which who only checks need not wait for.
            from ingestion_pipeline.storage.source_download import download

            return download(uri, policy)


def source_name(uri: str) -> str:
    """Return what a source is called: the last part of its path, else its host."""
    path = uri if uri.startswith("s3:") else unquote(uri.partition("?")[0])
    return safe_name(path.rstrip("/")) or "document"


def _scheme(uri: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in uri):
        raise _invalid("the source holds control characters: write them percent-encoded")
    found = _SCHEME.match(uri)
    if not found:
        raise _invalid("the source is not a URI: use file:///folder/name, https: or s3:")
    scheme = found[1].lower()
    if scheme not in ("file", "http", "https", "s3"):
        raise PermanentError(
            ErrorKind.UNSUPPORTED,
            f"sources of the scheme {scheme[:40]!r} are not supported: "
            "use file:, http:, https: or s3:",
        )
    return scheme


def _invalid(message: str) -> PermanentError:
    return PermanentError(ErrorKind.INVALID_MESSAGE, message)


def _file_path(uri: str) -> Path:
    rest = uri.partition(":")[2]
    if "?" in rest or "#" in rest:
        raise _invalid("a file: source has no query or fragment: write '?' as %3F, '#' as %23")
    if rest.startswith("//"):
        host, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        if host.lower() not in ("", "localhost"):
            raise PermanentError(
                ErrorKind.FORBIDDEN_SOURCE,
                "a file: source on another host cannot be read: use file:///folder/name",
            )
    name = os.fsdecode(unquote_to_bytes(rest))
    if not name.startswith("/") or "\0" in name:
        raise _invalid("a file: source needs an absolute path: use file:///folder/name")
    path = Path("/" + name.lstrip("/"))
    # What '..' means depends on the links before it, so only the file system can take it out.
    return _resolved(path) if ".." in path.parts else path


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before 3.13
        raise _no_file(path) from error


def _root_of(path: Path, policy: SourcePolicy) -> tuple[Path, Path]:
    """Return the root a file lies under and its path below it, both free of links."""
    resolved = _resolved(path)
    closed = (*_KERNEL_FOLDERS, *([_resolved(policy.own_folder)] if policy.own_folder else []))
    if not any(resolved.is_relative_to(folder) for folder in closed):
        for root in map(_resolved, policy.roots):
            if resolved.is_relative_to(root):
                return root, resolved.relative_to(root)
    raise PermanentError(
        ErrorKind.FORBIDDEN_SOURCE,
        f"{str(path)!r} is not under a folder that sources may be read from: "
        "add its folder to INGEST_SOURCE_ROOTS, or submit the file itself",
    )


def _read_file(path: Path, policy: SourcePolicy) -> Fetched:
    root, below = _root_of(path, policy)
    try:
        with open(_open_below(root, below), "rb") as file:
            size = _regular_size(os.fstat(file.fileno()))
            data = b"" if size > policy.max_bytes else file.read(policy.max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _no_file(path) from error
    except PermissionError as error:
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE,
            f"{str(path)!r} may not be read by this process: correct its permissions",
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _no_file(path) from error
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"{str(path)!r} cannot be read now ({error.strerror}): try again later",
        ) from error
    if max(size, len(data)) > policy.max_bytes:
        raise too_large(policy.max_bytes)
    return Fetched(data, safe_name(path.name) or "document")


def _open_below(root: Path, below: Path) -> int:
    """Open a regular file without following links, so that what was checked is what is read."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in below.parts[:-1]:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            folder, outer = os.open(part, flags, dir_fd=folder), folder
            os.close(outer)
        name = below.name or "."
        # Before it is opened too: to open a pipe or a device can wait, or do something.
        _regular_size(os.stat(name, dir_fd=folder, follow_symlinks=False))
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _regular_size(status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        raise PermanentError(
            ErrorKind.UNSUPPORTED, f"the source is {what}: submit single regular files"
        )
    return status.st_size


def _no_file(path: Path) -> PermanentError:
    return PermanentError(
        ErrorKind.NOT_FOUND, f"there is no file {str(path)!r}: check the path and submit it again"
    )


def _bucket_and_key(uri: str) -> tuple[str, str]:
    """Return bucket and key; as everywhere with S3, the key stands in the URI as it is."""
    found = _S3.fullmatch("s3" + uri[2:])
    if not found or len(found[2].encode()) > _MAX_S3_KEY_BYTES:
        raise _invalid("the source does not name an object: use s3://bucket/key")
    if found[2].endswith("/"):
        raise PermanentError(
            ErrorKind.UNSUPPORTED, "the source is a folder in a bucket: submit single objects"
        )
    return found[1], found[2]


def _read_s3(uri: str, policy: SourcePolicy) -> Fetched:
    bucket, key = _bucket_and_key(uri)
    deadline = Deadline(policy.timeout_seconds)
    with s3_reader(uri, policy) as client:
        reply = client.get_object(Bucket=bucket, Key=key)
        with closing(reply["Body"]) as body:
            if reply["ContentLength"] > policy.max_bytes:
                raise too_large(policy.max_bytes)
            data = limited(body.iter_chunks(_CHUNK_BYTES), policy.max_bytes, deadline)
    return Fetched(data, safe_name(key) or "document")


@contextmanager
def s3_reader(uri: str, policy: SourcePolicy) -> Iterator[Any]:
    """Open a client of S3 whose failures inside the block become errors that name ``uri``."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    make = policy.s3_client or partial(_s3_client, policy.timeout_seconds)
    try:
        with closing(make()) as client:
            yield client
    except ClientError as error:
        raise _s3_refusal(uri, error) from error
    except NoCredentialsError as error:
        raise PermanentError(
            ErrorKind.FORBIDDEN_SOURCE, f"{uri} needs AWS credentials: none were found"
        ) from error
    except BotoCoreError as error:
        raise TransientError(
            ErrorKind.UNAVAILABLE,
            f"{uri} cannot be read now ({type(error).__name__}): try again later",
        ) from error


def _s3_client(timeout_seconds: float) -> Any:
    from botocore.config import Config  # type: ignore[import-untyped]

    config = Config(
        connect_timeout=min(5, timeout_seconds),
        read_timeout=timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    with _session_in_use:
        return _s3_session().client("s3", config=config)


@cache
def _s3_session() -> Any:
    """Return one session for all: the first client of each takes 90 ms, the others 5 ms."""
    from boto3.session import Session  # type: ignore[import-untyped]

    return Session()


def _s3_refusal(uri: str, error: ClientError) -> PermanentError | TransientError:
    code = error.response["Error"].get("Code")
    match error.response["ResponseMetadata"]["HTTPStatusCode"]:
        case 404:
            return PermanentError(
                ErrorKind.NOT_FOUND, f"there is no {uri} ({code}): check bucket and key"
            )
        case 401 | 403:
            return PermanentError(
                ErrorKind.FORBIDDEN_SOURCE,
                f"{uri} may not be read ({code}): check the AWS credentials and the bucket",
            )
        case _:
            return TransientError(
                ErrorKind.UNAVAILABLE, f"{uri} cannot be read now ({code}): try again later"
            )
