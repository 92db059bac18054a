"""Backup: a copy of everything that cannot be made again, taken while the system works.

Belongs here: what is copied, and in which order. Does not belong here: the form of a backup
(``backup_format``) and putting it to use (``restore``).

The registry is read first, at one moment; then the tables that readers find are pinned, within
milliseconds, and copied; then the bytes that the registry named at that moment. So the index is
never older than the registry: what it has that the registry does not know yet is work that its own
open task does again. Bytes that were removed in between show that the moment is out of date; then
registry and tables are copied once more, of a later one.

Not copied: messages on the stream that nobody has taken in yet, events, Dagster's history, the key
that answers of people are sealed with.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from ingestion_pipeline.errors import ErrorKind, PermanentError, TransientError
from ingestion_pipeline.indexing.transfer import pinned
from ingestion_pipeline.registry import transfer
from ingestion_pipeline.registry.transfer import Referred
from ingestion_pipeline.storage import ObjectStore
from ingestion_pipeline.storage.parts import ROWS_IN_PART
from ingestion_pipeline.tasks.backup_format import (
    LANCEDB,
    REGISTRY,
    STORAGE,
    File,
    Manifest,
    packed_rows,
    packed_table,
    put,
    write_manifest,
)
from ingestion_pipeline.tasks.services import Services

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""Moments that are tried when what the registry named is removed again and again."""
AT_ONCE = 4
"""Files that are copied at the same time; each is in memory as a whole."""
BLOCK = 1000
"""Files after which it is told how many there are."""
MISSING_LISTED = 100

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Moment:
    """What the registry knew at one moment, and where it and the tables of that time are."""

    taken_at: float
    revision: str
    last_claim: int
    referred: tuple[Referred, ...]
    rows: Counter[str]
    files: tuple[File, ...]

    @property
    def objects(self) -> list[str]:
        """Where the source bytes are."""
        return [key for each in self.referred for key in sorted(each.objects)]


def back_up(services: Services, target: ObjectStore, tell: Tell) -> Manifest:
    """Copy registry, index, source bytes and stored results into an empty place.

    Runs, submissions and searches go on meanwhile; only purges wait, while tables are read.

    Raises:
        PermanentError: of kind ``invalid_option`` if the place is not empty.
        TransientError: of kind ``unavailable`` if anything does not answer, or tables are dropped
            again and again; what was copied is no backup, and may be removed.
    """
    if next(iter(target.keys()), None) is not None:
        raise PermanentError(
            ErrorKind.INVALID_OPTION,
            "a backup needs an empty place: name a new folder, or another prefix",
        )
    copied: dict[str, File] = {}
    moment, missing = _copy_moment_with_bytes(services, target, copied, tell)
    results = [
        key
        for each in moment.referred
        for key in services.artifacts.keys(each.collection.name, each.fingerprints)
    ]
    _copy(services, target, results, copied, tell)  # one that is gone is made again
    for key in copied.keys() - {*results, *moment.objects}:  # of a moment before
        target.delete(copied.pop(key).key)
    return write_manifest(
        target,
        [*moment.files, *copied.values()],
        taken_at=moment.taken_at,
        program=version("ingestion-pipeline"),
        schema_revision=moment.revision,
        last_claim=moment.last_claim,
        embedding_model=services.settings.embedding_model,
        collections=[each.collection.key for each in moment.referred],
        documents=moment.rows["documents"],
        tasks=moment.rows["tasks"],
        missing=missing[:MISSING_LISTED],
    )


def _copy_moment_with_bytes(
    services: Services, target: ObjectStore, copied: dict[str, File], tell: Tell
) -> tuple[Moment, list[str]]:
    """Copy a moment and its source bytes; return it, and which of these there are not.

    What is missing the last time was missing before: the backup is the better for having the rest.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            moment = _copy_moment(services, target, tell)
        except TransientError as error:
            if attempt == ATTEMPTS:
                raise
            logger.warning("the backup begins again: %s", error)
            continue
        missing = _copy(services, target, moment.objects, copied, tell)
        if not missing:
            break
    return moment, missing


def _copy_moment(services: Services, target: ObjectStore, tell: Tell) -> Moment:
    """Copy registry and tables, in place of those of a moment before."""
    for folder in (REGISTRY, LANCEDB):
        for key in list(target.keys(folder)):
            target.delete(key)
    files: list[File] = []
    rows: Counter[str] = Counter()
    with ExitStack() as stack:
        with transfer.snapshot(services.registry.database) as registry:
            taken_at = time.time()
            names = [collection.name.table for collection in registry.collections]
            tables = stack.enter_context(pinned(services.settings.lancedb_address, names))
            for name, part in registry.rows():
                key = f"{REGISTRY}/{name}/{rows[name]:09}.jsonl.gz"
                files.append(put(target, key, packed_rows(part)))
                rows[name] += len(part)
            referred = tuple(registry.referred())
        tell(f"registry: {rows['documents']} documents, {rows['tasks']} tasks")
        for table in tables:
            for number, part_of_table in enumerate(table.parts(ROWS_IN_PART)):
                key = f"{LANCEDB}/{table.name}/{number:06}.arrow"
                files.append(put(target, key, packed_table(part_of_table)))
            table.release()
        tell(f"index: {len(tables)} tables")
    return Moment(taken_at, registry.revision, registry.last_claim, referred, rows, tuple(files))


def _copy(
    services: Services,
    target: ObjectStore,
    keys: Sequence[str],
    copied: dict[str, File],
    tell: Tell,
) -> list[str]:
    """Copy what is not copied yet; return the keys under which there is nothing, or damage."""
    missing: list[str] = []
    new = [key for key in keys if key not in copied]
    copy = partial(_copy_one, services, target)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for start in range(0, len(new), BLOCK):
            block = new[start : start + BLOCK]
            for key, file in zip(block, threads.map(copy, block), strict=True):
                if file is None:
                    missing.append(key)
                else:
                    copied[key] = file
            tell(f"storage: {len(copied)} files")
    return missing


def _copy_one(services: Services, target: ObjectStore, key: str) -> File | None:
    try:
        data = services.store.get(key)
    except PermanentError as error:
        if error.kind is not ErrorKind.NOT_FOUND:
            raise
        return None
    file = put(target, f"{STORAGE}/{key}", data)
    if key.startswith("objects/") and not key.endswith(file.sha256):
        target.delete(file.key)
        return None
    return file
