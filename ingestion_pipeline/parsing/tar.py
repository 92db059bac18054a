"""Tar archives, gzip files and both together: each file in them becomes an attachment."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.attachments import (
    Attachments,
    check_count,
    check_size,
    is_hidden,
    safe_name,
)
from ingestion_pipeline.parsing.detection import FileType, is_tar

_CUT = "the archive is cut off or damaged: what stood behind that place is missing"
_PIECE = 1024**2
_SUFFIXES = {".tgz": ".tar", ".gz": ""}


def parse_tar(data: bytes) -> ParsedDocument:
    """Unpack an archive in memory; directories, links and hidden files are left out."""
    return _unpacked(data, len(data), FileType.TAR)


def parse_gzip(data: bytes, name: str) -> ParsedDocument:
    """Unpack one file, or an archive of many; ``name`` is that of the packed file.

    Raises:
        PermanentError: ``too_large``, before more is unpacked than may be; ``broken``.
    """
    inflated, whole = _inflated(data)
    if is_tar(inflated):
        return _unpacked(inflated, len(data), FileType.GZIP, whole=whole)
    if not inflated and not whole:
        raise PermanentError(ErrorKind.BROKEN, "the gzip file is damaged; pack it again")
    attachments = Attachments()
    path = PurePosixPath(safe_name(name) or "file.gz")
    attachments.add(
        str(path.with_suffix(_SUFFIXES.get(path.suffix.lower(), path.suffix))), inflated
    )
    return ParsedDocument(
        FileType.GZIP, (), warnings=() if whole else (_CUT,), attachments=attachments.all()
    )


def _inflated(data: bytes) -> tuple[bytes, bool]:
    """Return what comes out, and whether that is all."""
    result = bytearray()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while part := file.read1(_PIECE):
                result += part
                check_size(len(data), len(result))
    except (EOFError, OSError, zlib.error):
        return bytes(result), False
    return bytes(result), True


def _unpacked(data: bytes, packed: int, kind: FileType, *, whole: bool = True) -> ParsedDocument:
    attachments = Attachments()
    unpacked = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="replace") as archive:
            for member, name in _members(archive):
                unpacked += member.size  # declared; no member gives more
                check_size(packed, unpacked)
                file = archive.extractfile(member)
                attachments.add(name, file.read() if file is not None else b"")
    except (tarfile.TarError, EOFError, OSError, ValueError):
        whole = False
    if not whole and not attachments.all():
        raise PermanentError(ErrorKind.BROKEN, "the tar archive is damaged; pack it again")
    return ParsedDocument(
        kind, (), warnings=() if whole else (_CUT,), attachments=attachments.all()
    )


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """Yield the files that people put into the archive, with their safe names."""
    for count, member in enumerate(archive, start=1):
        check_count(count)
        name = safe_name(member.name)
        if member.isreg() and name and not is_hidden(name):
            yield member, name
