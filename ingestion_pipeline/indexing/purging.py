"""Removing for good what is no longer visible in a table.

Belongs here: rewriting files, indexes and versions that still hold deleted rows. Does not belong
here: making rows invisible (``index``) and everyday upkeep (``maintenance``).

A deletion in LanceDB only marks rows. Their text stays in the data files, in every older version,
and their words in the full-text index, through any number of compactions: these leave alone what
has few deleted rows, and translate indexes instead of building them anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion_pipeline.indexing.commits import committed
from ingestion_pipeline.indexing.maintenance import latest
from ingestion_pipeline.indexing.pins import require_unpinned

if TYPE_CHECKING:
    from lancedb.table import LanceTable

AT_ONCE = timedelta(milliseconds=1)
"""Keep no older version. (LanceDB warns of 0, which means the same.)"""

EVERY_EIGHTH_ROW = "_rowaddr % 8 = 0"
"""Compaction rewrites a fragment of which over 10 % is deleted. When every eighth row (by its place
in the fragment) has moved elsewhere or been deleted before, that is true of every fragment."""

ABANDONED_AFTER = timedelta(hours=1)
"""From writing a file to the commit that names it, a publication takes seconds."""

UNVERIFIED_AGE = timedelta(days=8)
"""LanceDB itself waits 7 days before it removes files that no version names."""


def purge(
    table: LanceTable,
    column: str,
    replace_indexes: Callable[[LanceTable], None],
    keep_versions: timedelta,
) -> None:
    """Rewrite the table until its files hold visible rows only.

    ``column`` is one that may be rewritten cheaply, ``replace_indexes`` builds those of the table
    anew. Each step is a commit of its own that leaves a readable table, so a purge that was killed
    is simply done again. Versions younger than ``keep_versions`` stay for those who read them; what
    they alone hold goes with the next pruning.

    Raises:
        TransientError: of kind ``unavailable`` if other writers came first again and again, or
            while a backup reads the table.
    """
    require_unpinned(table)
    what = f"purging {table.name}"
    unchanged = {column: column}
    committed(lambda: latest(table).update(EVERY_EIGHTH_ROW, values_sql=unchanged), what)
    # Before compaction, so that it finds all rows indexed alike and makes one fragment of them.
    replace_indexes(table)
    _age_abandoned_files(table.uri)
    committed(lambda: latest(table).optimize(cleanup_older_than=keep_versions), what)
    # Compaction makes two versions. That of few rows is so quick that the first, which has all the
    # old files, was too young to go.
    time.sleep(AT_ONCE.total_seconds())
    committed(lambda: latest(table).optimize(cleanup_older_than=keep_versions), what)


def _age_abandoned_files(uri: str) -> None:
    """Let the next pruning take the files that commits left which failed or were killed.

    Only LanceDB knows which files no version names; it spares those that look young. In an object
    store nothing can be made to look older: there its 7 days apply.
    """
    folder = Path(uri)
    if not folder.is_dir():
        return
    now = time.time()
    aged = now - UNVERIFIED_AGE.total_seconds()
    for kind in ("data", "_indices", "_deletions"):
        for path in (folder / kind).rglob("*"):
            try:
                modified = path.stat().st_mtime
                if aged < modified < now - ABANDONED_AFTER.total_seconds():
                    os.utime(path, (aged, aged))
            except FileNotFoundError:
                continue  # pruned meanwhile
