"""ZIP archives of files: each member becomes an attachment, to be read as what it is.

Belongs here: archives. Does not belong here: documents that are ZIP containers (``archive``).
"""

from __future__ import annotations

import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

from ingestion_pipeline.errors import Ask, ErrorKind, InputNeededError, PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.attachments import (
    Attachments,
    check_count,
    check_size,
    is_hidden,
    safe_name,
)
from ingestion_pipeline.parsing.detection import FileType

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, NotImplementedError, ValueError,
)  # fmt: skip
_AES = 99
_IS_ENCRYPTED, _NAME_IS_UTF8 = 0x1, 0x800
_NAME_ENCODINGS = ("utf-8", "gb2312")
"""What names are written in although the format says code page 437, and look like nothing else."""
_MOST_NAMED = 10


def parse_zip(data: bytes, password: str | None = None) -> ParsedDocument:
    """Unpack an archive in memory; a member that is damaged is left out with a warning.

    Directories, links and hidden files are left out. Nothing is unpacked before all that is
    declared was found small enough, and no member gives more than it declares.

    Raises:
        InputNeededError: ``encrypted``, and ``password`` does not open it.
        PermanentError: ``too_large``; ``encrypted`` in a way that no password opens here;
            ``broken`` if no member can be unpacked.
    """
    attachments = Attachments()
    damaged: list[str] = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = list(_members(archive))
        check_count(len(members))
        check_size(len(data), sum(member.file_size for member, _ in members))
        if any(member.flag_bits & _IS_ENCRYPTED for member, _ in members):
            _unlock(archive, [member for member, _ in members], password)
        for member, name in members:
            try:
                attachments.add(name, archive.read(member))
            except (RuntimeError, *_DAMAGED):  # the former where it has a password of its own
                damaged.append(name)
    if damaged and not attachments.all():
        raise PermanentError(
            ErrorKind.BROKEN,
            f"no file in the archive can be unpacked ({len(damaged)} are damaged or packed in an "
            "unknown way); pack them again",
        )
    return ParsedDocument(
        FileType.ZIP, (), warnings=tuple(_warnings(damaged)), attachments=attachments.all()
    )


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yield the files that people put into the archive, with their safe names."""
    infos = archive.infolist()
    encoding = _name_encoding(infos)
    for info in infos:
        name = safe_name(_name(info, encoding))
        is_link = stat.S_ISLNK(info.external_attr >> 16)
        if name and not info.is_dir() and not is_link and not is_hidden(name):
            yield info, name


def _name_encoding(infos: Sequence[zipfile.ZipInfo]) -> str | None:
    """Return what the names are really written in, None if that is what the format says."""
    names = (info.orig_filename for info in infos if not info.flag_bits & _NAME_IS_UTF8)
    data = "\n".join(names).encode("cp437", errors="replace")
    for encoding in () if data.isascii() else _NAME_ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return None


def _name(info: zipfile.ZipInfo, encoding: str | None) -> str:
    if encoding is None or info.flag_bits & _NAME_IS_UTF8:
        return info.filename
    return info.filename.encode("cp437", errors="replace").decode(encoding, errors="replace")


def _unlock(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], password: str | None
) -> None:
    """Try the password on the smallest encrypted member, and have it used for all."""
    locked = [member for member in members if member.flag_bits & _IS_ENCRYPTED]
    if any(member.compress_type == _AES for member in locked):
        raise PermanentError(
            ErrorKind.ENCRYPTED,
            "the archive is encrypted with AES, which cannot be opened here; unpack it and hand in "
            "the files",
        )
    if password is None:
        raise _encrypted("is encrypted")
    archive.setpassword(password.encode())
    try:
        archive.read(min(locked, key=lambda member: member.file_size))
    except (RuntimeError, *_DAMAGED) as error:  # one wrong password in 256 gives wrong bytes
        raise _encrypted("is encrypted, and this password does not open it") from error


def _encrypted(state: str) -> InputNeededError:
    return InputNeededError(
        ErrorKind.ENCRYPTED,
        f"the archive {state}: answer with its password (`ingest reply TASK password=@file`), or "
        "hand in the files in it",
        Ask.PASSWORD,
    )


def _warnings(damaged: Sequence[str]) -> Iterator[str]:
    if damaged:
        names = ", ".join(damaged[:_MOST_NAMED])
        rest = f" and {len(damaged) - _MOST_NAMED} more" if len(damaged) > _MOST_NAMED else ""
        yield f"could not be unpacked: {names}{rest}"
