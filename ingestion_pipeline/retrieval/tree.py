"""Tree search: summaries among the chunks of a ranking (the collapsed tree of RAPTOR).

Reports on communities of a graph are summaries here.

Belongs here: which summaries are shown, and in whose place. Does not belong here: how chunks are
ranked (``search``, ``fusion``), how trees are built.

The chunks that a question finds stay in their order, and those of the better half all stay. In the
lower half a summary takes the place of a chunk: preferably of one that it cites, else of the last
one whose document is still among the hits. So no document is lost, and a summary brings the best
chunks that it cites. What this gains is measured in ``docs/quality.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from ingestion_pipeline.indexing import FoundReport, FoundSummary, Snapshot
from ingestion_pipeline.model.search import Hit, HitKind
from ingestion_pipeline.retrieval.fusion import Scored

LARGEST_SHARE = 0.3
"""Of the hits; the others are chunks."""

CHUNKS_BROUGHT = 5
"""By each summary."""

TRIED = 10
TRIED_PER_SUMMARY = 3
"""Summaries that are looked at for each that may be shown, and how many at least."""

BROAD = 0.8
"""A question is broad if a summary is nearly as near to it as the nearest chunk: the cosine is at
least this share. A summary is about much, so few are near to what only one chunk is about."""


@dataclass(frozen=True)
class _Offer:
    """A summary that may be shown, with all chunks that it cites, best first."""

    summary: FoundSummary
    cited: Sequence[Hit]
    kind: HitKind

    @property
    def documents(self) -> set[str]:
        document_id = self.summary.document_id
        return set() if document_id is None else {document_id}

    @property
    def passages(self) -> set[str]:
        return set(map(passage, self.cited))


def passage(hit: Hit) -> str:
    """Return what tells the passage of a hit from others: chunks of one parent share it."""
    return hit.parent_id or hit.chunk_id


def is_broad(chunks: Sequence[Hit], summaries: Sequence[Scored]) -> bool:
    """Whether summaries are near enough to a question, by the nearest of both."""
    if not chunks or not summaries:
        return False
    return summaries[0].score >= BROAD * chunks[0].score


def _as_summary(found: FoundReport) -> FoundSummary:
    report = found.report
    cited = tuple(dict.fromkeys(each.chunk_id for each in report.citations))
    return FoundSummary(report.community_id, None, report.title, report.text, cited, found.score)


def tried(k: int) -> int:
    """Return how many summaries are looked at, where ``k`` hits are wanted."""
    return max(TRIED, TRIED_PER_SUMMARY * int(LARGEST_SHARE * k))


def with_summaries(
    ranking: Sequence[Hit],
    summaries: Sequence[FoundSummary],
    snapshot: Snapshot,
    k: int,
    where: str | None = None,
    reports: Sequence[FoundReport] = (),
) -> list[Hit]:
    """Return at most ``k`` hits: those of ``ranking``, and summaries in the place of some.

    Args:
        ranking: Passages, best first: more than ``k``, so that the chunks of a summary are ranked.
        summaries: As many of them as ``tried`` says, best first.
        snapshot: What the ranking is of. A summary is shown only if all that it cites is in there,
            so what was changed or deleted is quoted by none.
        k: How many hits are wanted.
        where: What else is asked of all that a summary cites, in trusted SQL.
        reports: Best first; shown in turn with summaries, as if one were the best of them.
    """
    kept = list(ranking[:k])
    most = int(LARGEST_SHARE * len(kept))
    lower = (len(kept) + 1) // 2
    shown: list[_Offer] = []
    for offer in _offers(
        reports if most else (), summaries if most else (), ranking, snapshot, where
    ):
        if len(shown) == most:
            break
        if len(kept) + len(shown) >= k:
            place = _place(kept, lower, offer, shown)
            if place is None:
                continue
            del kept[place]
        shown.append(offer)
    return _together(kept, shown)


def overview(
    ranking: Sequence[Hit],
    reports: Sequence[FoundReport],
    summaries: Sequence[FoundSummary],
    snapshot: Snapshot,
    k: int,
    where: str | None = None,
) -> list[Hit]:
    """Return at most ``k`` hits for a question that names nothing: half of them tell of all.

    No document answers it, so it loses none. The arguments are those of ``with_summaries``; the
    reports come first, and then summaries as far as there are too few.
    """
    most = k // 2
    shown = _offers(reports[: 2 * most], summaries[:most], ranking, snapshot, where)
    shown.sort(key=lambda offer: offer.kind is not HitKind.REPORT)
    best = ranking[0].score if ranking else 1.0
    hits = [_shown(offer, best) for offer in shown[:most]]
    return hits + list(ranking[: k - len(hits)])


def _offers(
    reports: Sequence[FoundReport],
    summaries: Sequence[FoundSummary],
    ranking: Sequence[Hit],
    snapshot: Snapshot,
    where: str | None,
) -> list[_Offer]:
    """Return those of which all that they cite is visible: a report, a summary, and so on."""
    kinds = [(HitKind.REPORT, _as_summary(each)) for each in reports]
    kinds += [(HitKind.SUMMARY, each) for each in summaries]
    wanted = dict.fromkeys(chunk_id for _, each in kinds for chunk_id in each.cited)
    visible = snapshot.hits(list(wanted), where)
    scores = {hit.chunk_id: hit.score for hit in ranking}
    found = [
        _Offer(each, _best_first([visible[chunk_id] for chunk_id in each.cited], scores), kind)
        for kind, each in kinds
        if each.cited and visible.keys() >= set(each.cited)
    ]
    first = [each for each in found if each.kind is HitKind.REPORT]
    second = [each for each in found if each.kind is HitKind.SUMMARY]
    in_turn = chain.from_iterable(zip_longest(first, second))
    return [each for each in in_turn if each is not None]


def _best_first(hits: Sequence[Hit], scores: Mapping[str, float]) -> list[Hit]:
    scored = [hit.model_copy(update={"score": scores.get(hit.chunk_id, 0.0)}) for hit in hits]
    return sorted(scored, key=lambda hit: -hit.score)


def _place(kept: Sequence[Hit], lower: int, offer: _Offer, shown: Sequence[_Offer]) -> int | None:
    """Return whose place a summary takes, None if each is the last hit of its document."""
    counts = Counter(hit.document_id for hit in kept)
    counts.update(document for each in (offer, *shown) for document in each.documents)
    free = [place for place in range(lower, len(kept)) if counts[kept[place].document_id] > 1]
    cited = [place for place in free if passage(kept[place]) in offer.passages]
    return max(cited or free, default=None)


def _together(kept: Sequence[Hit], shown: Sequence[_Offer]) -> list[Hit]:
    """Put each summary behind the best hit that it cites, or at the end, with the score of it."""
    after: dict[int, list[_Offer]] = {}
    for offer in shown:
        places = (place for place, hit in enumerate(kept) if passage(hit) in offer.passages)
        after.setdefault(next(places, len(kept) - 1), []).append(offer)
    hits: list[Hit] = []
    for place, hit in enumerate(kept):
        hits.append(hit)
        hits += (_shown(offer, hit.score) for offer in after.get(place, ()))
    return hits


def _shown(offer: _Offer, score: float) -> Hit:
    summary, cited = offer.summary, offer.cited
    return Hit(
        chunk_id=summary.summary_id,
        document_id=summary.document_id or "",
        name=cited[0].name if summary.document_id else summary.title,
        kind=offer.kind,
        text=summary.text,
        score=score,
        pages=sorted({page for hit in cited for page in hit.pages}) if summary.document_id else [],
        heading_path=[summary.title],
        sources=list(dict.fromkeys(source for hit in cited for source in hit.sources)),
        chunks=list(cited[:CHUNKS_BROUGHT]),
    )
