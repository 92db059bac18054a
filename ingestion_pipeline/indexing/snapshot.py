"""Consistent reads: one version of a collection's table, whatever is published meanwhile.

Belongs here: every query that LanceDB answers. Does not belong here: fusing and judging answers
(``retrieval``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.indexing.commits import purged_errors
from ingestion_pipeline.indexing.nearest import nearest
from ingestion_pipeline.indexing.rows import packed, vectors_of
from ingestion_pipeline.indexing.schema import VISIBLE, is_any_of, sql_string
from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.search import Hit, HitKind

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from lancedb.query import LanceQueryBuilder
    from lancedb.table import LanceTable
    from numpy.typing import NDArray

QUERY_SECONDS = 30
"""The longest a query may take, however expensive its filter."""

_HIT_COLUMNS = [
    "chunk_id",
    "document_id",
    "name",
    "kind",
    "text",
    "pages",
    "heading_path",
    "uri",
    "parent_id",
    "parent_text",
    "pictures",
    "keywords",
    "tags",
]


_CHUNK_COLUMNS = [
    "chunk_id",
    "document_id",
    "ordinal",
    "text",
    "tokens",
    "start",
    "end",
    "pages",
    "heading_path",
]

IDS_AT_ONCE = 1000
"""That one condition names."""


@dataclass(frozen=True)
class Counts:
    """How much is visible."""

    chunks: int
    documents: int


@dataclass(frozen=True)
class IndexedVersion:
    """One version of a document as it is visible: its hash, its fence and how many chunks."""

    document_id: str
    version: str
    fence: int
    chunks: int


@dataclass(frozen=True)
class RepeatedText:
    """A text that several chunks have, but for case and white space.

    ``chunks`` is how many have it, ``documents`` the names of the documents they are in.
    """

    chunks: int
    documents: tuple[str, ...]


class Snapshot:
    """One version of a collection's table; None is a collection in which nothing is indexed yet.

    All reads of one question go to one snapshot, so they see each document's old version or its
    new one, never both. A read raises a ``TransientError`` of kind ``unavailable`` when a purge
    took the version meanwhile: ask again, of a new snapshot.
    """

    def __init__(self, table: LanceTable | None) -> None:
        self._table = table

    @property
    def empty(self) -> bool:
        """Whether nothing was ever indexed."""
        return self._table is None

    def counts(self) -> Counts:
        """Count chunks and documents."""
        if self._table is None:
            return Counts(chunks=0, documents=0)
        ids = self._columns(["document_id"]).column("document_id")
        return Counts(chunks=len(ids), documents=len(ids.unique()))

    def document_names(self) -> dict[str, str]:
        """Return the name of every document by its id."""
        if self._table is None:
            return {}
        found = self._columns(["document_id", "name"])
        pairs = zip(found["document_id"].to_pylist(), found["name"].to_pylist(), strict=True)
        return dict(pairs)

    def document_versions(
        self, document_ids: Collection[str] | None = None
    ) -> list[IndexedVersion]:
        """Return what is visible of these documents, or of all.

        A document that is listed twice is half published, which must never be.
        """
        if self._table is None:
            return []
        where = None if document_ids is None else is_any_of("document_id", document_ids)
        keys = ["document_id", "document_version", "fence"]
        groups = self._columns(keys, where).group_by(keys).aggregate([([], "count_all")])
        return [
            IndexedVersion(
                document_id=row["document_id"],
                version=row["document_version"],
                fence=row["fence"],
                chunks=row["count_all"],
            )
            for row in groups.sort_by("document_id").to_pylist()
        ]

    def largest_tokens(self) -> int:
        """Return the token count of the longest chunk, 0 if there is none."""
        import pyarrow.compute as pc

        if self._table is None:
            return 0
        return pc.max(self._columns(["tokens"])["tokens"]).as_py() or 0

    def text_lengths(self) -> dict[str, int]:
        """Return how many characters each document has up to the end of its last chunk."""
        if self._table is None:
            return {}
        ends = self._columns(["document_id", "end"]).group_by("document_id")
        return {
            row["document_id"]: row["end_max"]
            for row in ends.aggregate([("end", "max")]).to_pylist()
        }

    def sample(self, most: int) -> list[str]:
        """Return the texts of at most so many chunks: all of them, or always the same ones.

        Chunk ids are hashes, so those that come first are from all over the collection.
        """
        if self._table is None:
            return []
        ids = self._columns(["chunk_id"])["chunk_id"]
        where = None
        if len(ids) > most:
            where = f"chunk_id < {sql_string(ids.sort()[most].as_py())}"
        texts: list[str] = self._columns(["text"], where)["text"].to_pylist()
        return texts

    def repeated(self, enough: int) -> tuple[int, list[RepeatedText]]:
        """Return how many chunks were looked at, and the texts that several of them have.

        Of twice as many chunks as are ``enough``, or more, those are looked at whose length leaves
        no rest in a division: equal texts are of equal length, so all of them are, or none.
        """
        import pyarrow.compute as pc

        if self._table is None:
            return 0, []
        every = max(1, self._table.count_rows() // enough)
        found = self._columns(["name", "text"], f"(`end` - start) % {every} = 0")
        # Runs of white space and what is no blank: looking at every blank would take four times
        # as long.
        single = pc.replace_substring_regex(found["text"], r"\s\s+|[^\S ]", " ")
        plain = pc.utf8_lower(pc.utf8_trim_whitespace(single))
        counts = pc.value_counts(plain)
        often = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        where = pc.is_in(plain, often)
        names: dict[str, list[str]] = {}
        for text, name in zip(
            plain.filter(where).to_pylist(), found["name"].filter(where).to_pylist(), strict=True
        ):
            names.setdefault(text, []).append(name)
        repeated = [RepeatedText(len(each), tuple(sorted(set(each)))) for each in names.values()]
        return len(plain), sorted(repeated, key=lambda text: (-text.chunks, text.documents))

    def chunks_of(self, document_id: str) -> list[Chunk]:
        """Return a document's chunks in their order."""
        if self._table is None:
            return []
        where = f"document_id = {sql_string(document_id)}"
        return _chunks(self._columns(_CHUNK_COLUMNS, where).sort_by("ordinal"))

    def document_ids(self) -> list[str]:
        """Return the ids of all documents, sorted."""
        if self._table is None:
            return []
        ids: list[str] = self._columns(["document_id"])["document_id"].unique().sort().to_pylist()
        return ids

    def leaf_ids(self) -> list[str]:
        """Return the ids of all chunks, in no order."""
        if self._table is None:
            return []
        ids: list[str] = self._columns(["chunk_id"])["chunk_id"].to_pylist()
        return ids

    def document_of_chunks(self) -> dict[str, str]:
        """Return the id of the document of every chunk, by the chunk's."""
        if self._table is None:
            return {}
        found = self._columns(["chunk_id", "document_id"])
        pairs = zip(found["chunk_id"].to_pylist(), found["document_id"].to_pylist(), strict=True)
        return dict(pairs)

    def sources(
        self, document_ids: Sequence[str]
    ) -> Iterator[tuple[str, list[Chunk], NDArray[np.float32]]]:
        """Yield documents with their chunks in order and their vectors, (chunks, dimension).

        In the order asked for; those that are not there are left out. Few are held at a time.
        """
        if self._table is None:
            return
        counts: dict[str, int] = {}
        for start in range(0, len(document_ids), IDS_AT_ONCE):
            where = is_any_of("document_id", document_ids[start : start + IDS_AT_ONCE])
            found = self._columns(["document_id"], where)["document_id"].value_counts()
            counts |= {each["values"]: each["counts"] for each in found.to_pylist()}
        present = [each for each in document_ids if each in counts]
        for block in packed(present, [counts[each] for each in present]):
            found = self._columns([*_CHUNK_COLUMNS, "vector"], is_any_of("document_id", block))
            rows = found.sort_by([("document_id", "ascending"), ("ordinal", "ascending")])
            chunks, vectors = _chunks(rows.drop_columns(["vector"])), vectors_of(rows)
            start = 0
            own: dict[str, slice] = {}
            for document_id in sorted(block):
                own[document_id] = slice(start, start + counts[document_id])
                start += counts[document_id]
            for document_id in block:
                yield document_id, chunks[own[document_id]], vectors[own[document_id]]

    def hits(self, chunk_ids: Sequence[str], where: str | None = None) -> dict[str, Hit]:
        """Return chunks by their ids, as far as they are there and satisfy ``where``.

        All scores are 0.
        """
        if self._table is None:
            return {}
        found: dict[str, Hit] = {}
        for start in range(0, len(chunk_ids), IDS_AT_ONCE):
            some = is_any_of("chunk_id", chunk_ids[start : start + IDS_AT_ONCE])
            condition = some if where is None else f"{some} AND ({where})"
            rows = self._columns(_HIT_COLUMNS, condition).to_pylist()
            found |= {row["chunk_id"]: _hit(row, 0.0) for row in rows}
        return found

    def tagged(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the text and the tags of every chunk that has any."""
        if self._table is None:
            return
        found = self._columns(["text", "tags"], "array_length(tags) > 0")
        for row in found.to_pylist():
            yield row["text"], tuple(row["tags"])

    def matching(self, terms: str, limit: int, where: str | None = None) -> list[Hit]:
        """Return the chunks whose search text shares words with ``terms``, best BM25 score first.

        ``terms`` are words, not a query language: quotes and operators mean nothing. ``where`` is
        trusted SQL (``retrieval.filters`` makes it).
        """
        from lancedb.query import MatchQuery

        if self._table is None:
            return []
        match = MatchQuery(terms, "search_text")  # type: ignore[call-arg] # its defaults are hidden
        query = self._table.search(match, query_type="fts")
        rows = _answer(query, [*_HIT_COLUMNS, "_score"], where, limit).to_pylist()
        return [_hit(row, row["_score"]) for row in rows]

    def nearest(
        self, vector: NDArray[np.float32], limit: int, where: str | None = None
    ) -> list[Hit]:
        """Return the chunks whose vectors have the greatest cosine with ``vector``, best first."""
        if self._table is None:
            return []
        query = nearest(self._table, vector, limit)
        rows = _answer(query, [*_HIT_COLUMNS, "_distance"], where, limit).to_pylist()
        return [_hit(row, 1 - row["_distance"]) for row in rows]

    def _columns(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        assert self._table is not None  # noqa: S101 - for the type checker
        condition = VISIBLE if where is None else f"{VISIBLE} AND ({where})"
        with purged_errors():
            return self._table.search().where(condition).select(list(columns)).to_arrow()


def _answer(
    query: LanceQueryBuilder, columns: list[str], where: str | None, limit: int
) -> pa.Table:
    if where is not None:
        query = query.where(where, prefilter=True)
    timeout = timedelta(seconds=QUERY_SECONDS)
    try:
        with purged_errors():
            return query.select(columns).limit(limit).to_arrow(timeout=timeout)
    except RuntimeError as error:
        if "Query timeout" not in str(error):
            raise
        raise PermanentError(
            ErrorKind.TIMEOUT, f"the search took over {QUERY_SECONDS} s; use a simpler filter"
        ) from error


def _chunks(rows: pa.Table) -> list[Chunk]:
    return [
        Chunk(**row | {key: tuple(row[key]) for key in ("pages", "heading_path")})
        for row in rows.to_pylist()
    ]


def _hit(row: dict[str, Any], score: float) -> Hit:
    return Hit(
        chunk_id=row["chunk_id"],
        document_id=row["document_id"],
        name=row["name"],
        kind=HitKind(row["kind"]),
        text=row["parent_text"] or row["text"],
        score=score,
        pages=row["pages"],
        heading_path=row["heading_path"],
        sources=[row["uri"]],
        parent_id=row["parent_id"],
        pictures=row["pictures"],
        keywords=row["keywords"],
        tags=row["tags"],
    )
