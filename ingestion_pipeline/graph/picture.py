"""A picture of the largest communities of a graph: how large they are and what ties them.

Belongs here: which are shown, and where. Does not belong here: the page on which each entity can be
looked at (``graph.html``).

Titles come from documents, which anybody may have written: they are text and nothing else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import combinations
from textwrap import wrap
from xml.sax.saxutils import escape

from ingestion_pipeline.model.graph import Community, Relation, Report
from ingestion_pipeline.pages import one_line

MOST_COMMUNITIES = 12
_WIDE, _HIGH = 1000, 600
_RING = (270.0, 200.0)
"""Radii on which the communities stand, with room for titles outside."""
_LARGEST, _SMALLEST = 46.0, 9.0
"""Radii of circles; areas are as numbers of entities, as far as one can be seen."""
_THICKEST = 12.0
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" '
    f'width="{_WIDE}" height="{_HIGH}" font-family="sans-serif" font-size="12">'
    f'<rect width="{_WIDE}" height="{_HIGH}" fill="#ffffff"/>'
)
_LINE, _LINES, _ROW = 24, 3, 14
"""Characters of a title's line, how many lines it has, and how high each is."""
_HUES = (217, 28, 152, 338, 262, 190, 48, 2, 96, 300, 230, 130)

Place = tuple[float, float]


def picture(
    communities: Iterable[Community], relations: Iterable[Relation], reports: Iterable[Report]
) -> str:
    """Return an SVG picture of the largest coarse communities, "" if there are none.

    A line between two is as thick as the number of sentences that relate their entities. Equal
    graphs have equal pictures.
    """
    coarse = [each for each in communities if each.level == 0]
    shown = nlargest(
        MOST_COMMUNITIES, coarse, key=lambda each: (len(each.entity_ids), each.community_id)
    )
    if not shown:
        return ""
    titles = {each.community_id: each.title for each in reports}
    ties = _ties(shown, relations)
    order = _in_ring(len(shown), ties)
    places = {each: _place(number, len(order)) for number, each in enumerate(order)}
    largest = math.sqrt(len(shown[0].entity_ids))
    radii = [max(_SMALLEST, _LARGEST * math.sqrt(len(each.entity_ids)) / largest) for each in shown]
    drawn = [*_lines(ties, places)]
    for number, each in enumerate(shown):
        title = one_line(titles.get(each.community_id, ""))
        drawn += _circle(places[number], radii[number], _HUES[number % len(_HUES)])
        drawn += _label(places[number], radii[number], title, len(each.entity_ids))
    return "\n".join((_HEAD, *drawn, "</svg>"))


def _ties(shown: Sequence[Community], relations: Iterable[Relation]) -> Counter[tuple[int, int]]:
    """Return how many sentences relate each two of the communities, by their positions."""
    of = {entity: number for number, each in enumerate(shown) for entity in each.entity_ids}
    ties: Counter[tuple[int, int]] = Counter()
    for relation in relations:
        ends = of.get(relation.source), of.get(relation.target)
        if ends[0] is not None and ends[1] is not None and ends[0] != ends[1]:
            ties[min(ends[0], ends[1]), max(ends[0], ends[1])] += relation.count
    return ties


def _in_ring(count: int, ties: Counter[tuple[int, int]]) -> list[int]:
    """Return the communities in an order in which neighbours have much to do with each other."""
    order, left = [0], set(range(1, count))
    while left:
        last = order[-1]
        best = max(left, key=lambda each: (ties[min(last, each), max(last, each)], -each))
        order.append(best)
        left.remove(best)
    return order


def _place(number: int, count: int) -> Place:
    if count == 1:
        return _WIDE / 2, _HIGH / 2
    angle = 2 * math.pi * number / count - math.pi / 2
    return _WIDE / 2 + _RING[0] * math.cos(angle), _HIGH / 2 + _RING[1] * math.sin(angle)


def _lines(ties: Counter[tuple[int, int]], places: dict[int, Place]) -> Iterable[str]:
    most = max(ties.values(), default=1)
    for one, other in combinations(sorted(places), 2):
        if count := ties[one, other]:
            (x1, y1), (x2, y2) = places[one], places[other]
            width = max(0.5, _THICKEST * count / most)
            yield (
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                f'stroke="#9aa4b5" stroke-opacity="0.6" stroke-width="{width:.1f}"/>'
            )


def _circle(place: Place, radius: float, hue: int) -> Iterable[str]:
    x, y = place
    yield (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="hsl({hue},55%,55%)" '
        'stroke="#ffffff" stroke-width="2"/>'
    )


def _label(place: Place, radius: float, title: str, entities: int) -> Iterable[str]:
    """Yield the title, outside of the ring, and the number of entities below it."""
    x, y = place
    lines = wrap(title, _LINE, max_lines=_LINES, placeholder=" …") or [""]
    rows = [*((line, "#1c2330") for line in lines), (f"{entities:,} entities", "#667085")]
    if abs(x - _WIDE / 2) < _RING[0] / 2:
        anchor = "middle"
        top = y + radius + 16 if y >= _HIGH / 2 else y - radius - 6 - _ROW * len(lines)
    else:
        anchor = "start" if x > _WIDE / 2 else "end"
        x += math.copysign(radius + 8, x - _WIDE / 2)
        top = y + 4 - _ROW * len(lines) / 2
    for number, (row, colour) in enumerate(rows):
        yield (
            f'<text x="{x:.1f}" y="{top + _ROW * number:.1f}" text-anchor="{anchor}" '
            f'fill="{colour}">{escape(row)}</text>'
        )
