"""Upkeep of a collection's tables: compaction, indexes, old versions.

Belongs here: what is due, by the table's own statistics, and doing it. Does not belong here: when
it is asked for (a run's end, a schedule).

Rows that no index covers yet are found all the same: LanceDB compares them one by one. Full-text
search then costs about 0.07 ms per such row, hence the low threshold.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ingestion_pipeline.indexing import pins
from ingestion_pipeline.indexing.commits import committed
from ingestion_pipeline.indexing.connection import is_folder, opened

if TYPE_CHECKING:
    from lancedb.db import LanceDBConnection
    from lancedb.index import FTS, BTree, IvfRq
    from lancedb.table import LanceTable

SMALL_FRAGMENTS = 32
"""Each publication adds one; a scan opens every one of them."""

UNINDEXED_ROWS = 512
"""About 35 ms of a full-text query."""

VECTOR_INDEX_ROWS = 50_000
"""Below, comparing all vectors takes about 0.1 s and is exact."""

KEEP_VERSIONS = timedelta(hours=1)
"""How long readers of an old version are safe; their queries take seconds."""

STOP_WORDS = (
    "a about after again against ain all am an and are aren as at be been being below between "
    "both but by can couldn d did didn do does doesn doing don down each few for from further "
    "had hadn has hasn have haven having he her here hers herself him himself his how i if in "
    "into is isn it its itself just ll m me more most mustn my myself needn no nor not now o of "
    "off on once only or other our ours ourselves out over own re s same shan she should "
    "shouldn so some such t than that the their theirs them themselves then there these they "
    "this those through to too under until up ve very was wasn we were weren what when where "
    "which while who whom why will with won would wouldn y you your yours yourself yourselves"
)
"""English only: the built-in list of this tokenizer is of all languages, and drops "IL" and "0"."""


@dataclass(frozen=True)
class Maintenance:
    """What upkeep found and did."""

    rows: int = 0
    small_fragments: int = 0
    unindexed_rows: int = 0
    bytes: int = 0
    optimized: bool = False
    vector_index_created: bool = False


@dataclass(frozen=True)
class Stored:
    """What tables take. ``bytes`` are those on disk, 0 in a bucket, whose owner sees them."""

    tables: int
    versions: int
    bytes: int


def maintain(
    table: LanceTable | None, *, thorough: bool, keep_versions: timedelta | None = None
) -> Maintenance:
    """Do what is due; ``thorough`` compacts and prunes in any case.

    ``keep_versions`` is the age from which on old versions go, ``KEEP_VERSIONS`` if it is None.
    """
    if table is None:
        return Maintenance()
    create_missing_indexes(table)
    before = _statistics(table)
    small_fragments = before["fragment_stats"]["num_small_fragments"]
    unindexed_rows = max(index.num_unindexed_rows or 0 for index in table.list_indices())
    vector_index_created = before["num_rows"] > VECTOR_INDEX_ROWS and _index_vectors(table)
    due = thorough or small_fragments >= SMALL_FRAGMENTS or unindexed_rows >= UNINDEXED_ROWS
    if due:
        _compact(table, keep_versions)
    return Maintenance(
        rows=before["num_rows"] - 1,
        small_fragments=small_fragments,
        unindexed_rows=unindexed_rows,
        bytes=_statistics(table)["total_bytes"],
        optimized=due,
        vector_index_created=vector_index_created,
    )


def maintain_summaries(
    table: LanceTable, *, thorough: bool, keep_versions: timedelta | None = None
) -> None:
    """Do what is due for a table of summaries."""
    index_summaries(table)
    if table.count_rows() > VECTOR_INDEX_ROWS:
        _index_vectors(table)
    compact_if_due(table, thorough=thorough, keep_versions=keep_versions)


def index_summaries(table: LanceTable) -> None:
    """Create the full-text index of summaries; no other is needed to publish or to find them."""
    if table.count_rows():
        _create_if_missing(table, "text", _text_index())


def compact_if_due(
    table: LanceTable, *, thorough: bool = False, keep_versions: timedelta | None = None
) -> None:
    """Compact and prune a table that has grown by many small commits."""
    if thorough or _statistics(table)["fragment_stats"]["num_small_fragments"] >= SMALL_FRAGMENTS:
        _compact(table, keep_versions)


def latest(table: LanceTable) -> LanceTable:
    """Return the table at its newest version, so that another attempt starts where others ended."""
    table.checkout_latest()  # type: ignore[no-untyped-call]
    return table


def _compact(table: LanceTable, keep_versions: timedelta | None) -> None:
    pins.release_lapsed(table)
    with pins.respected():
        committed(
            lambda: latest(table).optimize(cleanup_older_than=keep_versions or KEEP_VERSIONS),
            f"compacting {table.name}",
        )


def stored(database: LanceDBConnection, uri: str, names: Iterable[str]) -> Stored:
    """Return what tables take, with everything that only their older versions have."""
    tables = [table for name in names if (table := opened(database, name)) is not None]
    folders = [Path(uri, f"{table.name}.lance") for table in tables] if is_folder(uri) else []
    return Stored(
        tables=len(tables),
        versions=sum(len(table.list_versions()) for table in tables),
        bytes=sum(map(_bytes_below, folders)),
    )


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # upkeep or a purge beside us removes files
            total += path.stat().st_size if path.is_file() else 0
    return total


def create_missing_indexes(table: LanceTable) -> None:
    """Create the full-text index and those that make publishing fast."""
    for column, config in _indexes().items():
        _create_if_missing(table, column, config)


def replace_indexes(table: LanceTable) -> None:
    """Build every index of the table anew, from the rows that are visible."""
    for column, config in _indexes().items():
        _create(table, column, config)
    _replace_vector_index(table)


def replace_summary_indexes(table: LanceTable) -> None:
    """Build every index of a table of summaries anew, if it has any."""
    if any("text" in index.columns for index in table.list_indices()):
        _create(table, "text", _text_index())
    _replace_vector_index(table)


def _replace_vector_index(table: LanceTable) -> None:
    """Build the index of vectors anew, or drop it where they have become few."""
    for index in table.list_indices():
        if index.columns != ["vector"]:
            continue
        if table.count_rows() > VECTOR_INDEX_ROWS:
            _create(table, "vector", _vector_index())
        else:
            committed(partial(table.drop_index, index.name), f"dropping {index.name}")


def _indexes() -> dict[str, FTS | BTree]:
    """Return the indexes of every table of chunks by column."""
    from lancedb.index import BTree

    return {"search_text": _text_index(), "chunk_id": BTree(), "document_id": BTree()}


def _text_index() -> FTS:
    """Return the full-text index.

    The tokenizer cuts at Unicode word boundaries and by a dictionary where a script has no spaces
    (Chinese, Japanese, Thai), then folds case and accents and stems English.
    """
    from lancedb.index import FTS

    return FTS(base_tokenizer="icu/split", custom_stop_words=STOP_WORDS.split())


def _vector_index() -> IvfRq:
    """Return the approximate index; the snapshot's exact comparison makes up for what it rounds."""
    from lancedb.index import IvfRq

    return IvfRq(distance_type="cosine")


def _index_vectors(table: LanceTable) -> bool:
    """Create the approximate index where it takes the dimension: a multiple of 8.

    Models of other dimensions are searched exhaustively.
    """
    if table.schema.field("vector").type.list_size % 8:
        return False
    return _create_if_missing(table, "vector", _vector_index())


def _create_if_missing(table: LanceTable, column: str, config: FTS | BTree | IvfRq) -> bool:
    if any(column in index.columns for index in table.list_indices()):
        return False
    _create(table, column, config)
    return True


def _create(table: LanceTable, column: str, config: FTS | BTree | IvfRq) -> None:
    """Create an index, in place of the one there is."""
    committed(
        lambda: latest(table).create_index(column, config=config, replace=True),
        f"indexing {column}",
    )


def _statistics(table: LanceTable) -> dict[str, Any]:
    return cast("dict[str, Any]", table.stats())  # a dictionary, whatever its annotation says
