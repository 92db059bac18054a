"""What a backup looks like: files under keys, their list with checksums, and a manifest.

Belongs here: names, forms and checksums. Does not belong here: what goes into a backup
(``backup``) and what becomes of it (``restore``).

    manifest.json               what it is of; written last, so what has none is unfinished
    files.jsonl.gz              every other file with its SHA-256 and length
    registry/TABLE/000000.jsonl.gz    rows of the registry
    lancedb/TABLE/000000.arrow        rows of a LanceDB table, the first part also of an empty one
    storage/KEY                 source bytes and stored results, under the keys they have there
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.storage import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
MANIFEST = "manifest.json"
FILES = "files.jsonl.gz"
REGISTRY, LANCEDB, STORAGE = "registry", "lancedb", "storage"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a backup."""

    key: str
    sha256: str
    bytes: int


class Manifest(BaseModel):
    """What a backup is of, and what its list of files must be."""

    model_config = ConfigDict(frozen=True)

    format: int
    taken_at: float
    """Unix seconds, of the moment that it shows."""
    program: str
    """The version of this program that took it."""
    schema_revision: Annotated[str, Field(pattern=r"[0-9a-zA-Z_]{1,32}")]
    """Of the registry's rows."""
    last_claim: int
    embedding_model: str
    """The setting; collections may have others."""
    collections: tuple[str, ...]
    documents: int
    tasks: int
    files: int
    bytes: int
    files_sha256: str
    missing: tuple[str, ...] = ()
    """Source bytes that the registry names and that were not there, or damaged, when it was taken;
    at most a hundred of them."""


def put(store: ObjectStore, key: str, data: bytes) -> File:
    """Write a file of a backup."""
    store.put(key, data)
    return File(key, hashlib.sha256(data).hexdigest(), len(data))


def get(store: ObjectStore, file: File) -> bytes:
    """Read a file of a backup.

    Raises:
        PermanentError: of kind ``broken`` if it is not what was written, or gone.
    """
    try:
        data = store.get(file.key)
    except PermanentError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        raise damaged(f"{file.key} is missing") from error
    if len(data) != file.bytes or hashlib.sha256(data).hexdigest() != file.sha256:
        raise damaged(f"{file.key} does not have the checksum it was written with")
    return data


def damaged(what: str) -> PermanentError:
    """Return the error for a backup that cannot be used."""
    return PermanentError(
        ErrorKind.BROKEN, f"the backup is damaged, and nothing of it was taken into use: {what}"
    )


def packed_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows of plain values as a file."""
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    return gzip.compress(lines.encode("ascii"), compresslevel=6, mtime=0)


def unpacked_rows(data: bytes) -> list[dict[str, Any]]:
    """Return the rows of a file."""
    return [json.loads(line) for line in gzip.decompress(data).splitlines()]


def packed_table(table: pa.Table) -> bytes:
    """Return rows of LanceDB as a file."""
    import pyarrow as pa

    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def unpacked_table(data: bytes) -> pa.Table:
    """Return the rows of a file."""
    import pyarrow as pa

    return pa.ipc.open_stream(data).read_all()


def write_manifest(store: ObjectStore, files: Iterable[File], **described: Any) -> Manifest:
    """Finish a backup: from now on it is one."""
    listed = sorted(files, key=lambda file: file.key)
    rows = [{"key": file.key, "sha256": file.sha256, "bytes": file.bytes} for file in listed]
    manifest = Manifest(
        format=FORMAT,
        files=len(listed),
        bytes=sum(file.bytes for file in listed),
        files_sha256=put(store, FILES, packed_rows(rows)).sha256,
        **described,
    )
    store.put(MANIFEST, manifest.model_dump_json(indent=2).encode())
    return manifest


def read_manifest(store: ObjectStore) -> tuple[Manifest, list[File]]:
    """Return what a backup is of, and its files.

    Raises:
        PermanentError: of kind ``not_found`` if there is none, or an unfinished one; ``broken`` if
            it is damaged; ``unsupported`` if a newer version of this program took it.
    """
    try:
        said = json.loads(store.get(MANIFEST))
        _require_readable(said["format"], said["program"])
        manifest = Manifest.model_validate(said)
        list_of_files = store.get(FILES)
    except PermanentError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        raise PermanentError(
            ErrorKind.NOT_FOUND, "there is no backup, or it was not finished: name another one"
        ) from error
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise damaged(f"{MANIFEST} cannot be read") from error
    if hashlib.sha256(list_of_files).hexdigest() != manifest.files_sha256:
        raise damaged(f"{FILES} does not have the checksum it was written with")
    return manifest, [File(**row) for row in unpacked_rows(list_of_files)]


def _require_readable(form: int, program: str) -> None:
    if form > FORMAT:
        raise PermanentError(
            ErrorKind.UNSUPPORTED,
            f"the backup has format {form}, and this program reads those up to {FORMAT}: use the "
            f"version that took it, {program}",
        )
