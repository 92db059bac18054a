"""The picture of the largest communities: what is on it, and that titles are text in it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest

from ingestion_pipeline.graph.picture import MOST_COMMUNITIES, picture
from ingestion_pipeline.model.graph import Community, Relation, RelationKind, Report
from ingestion_pipeline.model.summaries import SummaryMethod

SVG = "{http://www.w3.org/2000/svg}"
LARGEST = 50_000


def community(number: int, size: int, level: int = 0) -> Community:
    return Community(f"c{number:02}", level, None, tuple(f"e{number}-{n}" for n in range(size)))


def report(community: Community, title: str) -> Report:
    method = SummaryMethod.EXTRACTIVE
    return Report(community.community_id, title, "", method, (), (), (), (), None, 5.0, "")


def tie(source: str, target: str, count: int) -> Relation:
    kind = RelationKind.TOGETHER
    return Relation(f"{source}{target}", source, target, kind, "", False, 1.0, count, (), ())


def drawn(
    communities: Sequence[Community], relations: Sequence[Relation] = (), title: str = "About it"
) -> ET.Element:
    return ET.fromstring(picture(communities, relations, [report(c, title) for c in communities]))


def texts(svg: ET.Element) -> list[str]:
    return [each.text or "" for each in svg.iter(f"{SVG}text")]


def test_the_largest_coarse_communities_are_shown_with_their_titles_and_sizes() -> None:
    found = [community(number, 1 + number) for number in range(20)]
    svg = drawn([*found, community(99, 200, level=1)])
    assert len(list(svg.iter(f"{SVG}circle"))) == MOST_COMMUNITIES
    assert "20 entities" in texts(svg)
    assert "200 entities" not in texts(svg)
    assert "8 entities" not in texts(svg)


def test_a_larger_community_is_a_larger_circle_and_a_stronger_tie_a_thicker_line() -> None:
    found = [community(0, 100), community(1, 25), community(2, 25)]
    svg = drawn(found, [tie("e0-0", "e1-0", 8), tie("e0-1", "e2-0", 1), tie("e0-1", "e0-2", 99)])
    first, *others = [float(each.attrib["r"]) for each in svg.iter(f"{SVG}circle")]
    assert all(each == pytest.approx(first / 2) for each in others)
    widths = sorted(float(each.attrib["stroke-width"]) for each in svg.iter(f"{SVG}line"))
    assert len(widths) == 2
    assert widths[1] == pytest.approx(8 * widths[0])


@pytest.mark.parametrize(
    "title",
    ["<script>alert(1)</script>", "\"&'><x", "]]>\x00\ud800", "very long " * 60, "", "日本語"],
)
def test_a_title_is_text_and_nothing_else(title: str) -> None:
    communities = [community(number, 3) for number in range(3)]
    plain = [
        each.tag for each in drawn(communities, title="title").iter() if "text" not in each.tag
    ]
    svg = drawn(communities, title=title)
    assert [each.tag for each in svg.iter() if "text" not in each.tag] == plain
    assert len(picture(communities, [], [report(each, title) for each in communities])) < 5000


def test_it_is_small_and_the_same_every_time() -> None:
    communities = [community(number, 40) for number in range(30)]
    relations = [
        tie(f"e{one}-0", f"e{other}-0", one + other) for one in range(30) for other in range(one)
    ]
    reports = [report(each, "A long title, with phrases, and more of them") for each in communities]
    first = picture(communities, relations, reports)
    assert len(first) < LARGEST
    assert picture(communities[::-1], relations[::-1], reports[::-1]) == first


def test_there_is_no_picture_of_nothing() -> None:
    assert picture([], [], []) == ""
    assert len(list(drawn([community(0, 1)]).iter(f"{SVG}circle"))) == 1
