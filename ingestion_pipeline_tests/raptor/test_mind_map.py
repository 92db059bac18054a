"""Maps of documents and collections."""

from __future__ import annotations

import pytest

from ingestion_pipeline.model.enrichment import TocEntry
from ingestion_pipeline.model.summaries import Summary, SummaryMethod
from ingestion_pipeline.raptor.mind_map import (
    MindMap,
    all_chunk_ids,
    bounded,
    nodes,
    of_collection,
    of_document,
)
from ingestion_pipeline_tests.raptor.trees import chunks_under

Outline = tuple[str, int, list["Outline"]]
"""A title, how many chunks are right there, and what is below."""


def outline(mind_map: MindMap) -> Outline:
    return (
        mind_map.title,
        len(mind_map.chunk_ids),
        [outline(child) for child in mind_map.children],
    )


def summary(
    name: str, layer: int, children: list[str], chunk_ids: list[str], document_id: str | None = "d"
) -> Summary:
    return Summary(
        *(name, document_id, layer, name.title(), "Text.", 3, SummaryMethod.EXTRACTIVE),
        *(tuple(children), tuple(chunk_ids), ()),
    )


def test_headings_are_the_map_of_a_document() -> None:
    paths = [(), ("One",), ("One", "a"), ("One", "b"), ("One", "b"), ("Two", "a"), ("One",)]
    chunks = chunks_under(paths)

    found = of_document("d", "Report", chunks)

    assert outline(found) == (
        *("Report", 1),
        [
            ("One", 1, [("a", 1, []), ("b", 2, [])]),
            ("Two", 0, [("a", 1, [])]),
            ("One", 1, []),
        ],
    )
    assert all_chunk_ids(found) == tuple(chunk.chunk_id for chunk in chunks)
    assert {node.document_id for node in nodes(found)} == {"d"}


def test_contents_have_headings_that_chunks_do_not_know() -> None:
    chunks = chunks_under([(), ("A",), ("A",)])
    one, two, three = (chunk.chunk_id for chunk in chunks)
    contents = [
        TocEntry("A", 1, (two,)),
        TocEntry("A.1", 3, (two, three)),
        TocEntry("A.2", 2, (three,)),
        TocEntry("B", 1, ()),
    ]

    found = of_document("d", "Report", chunks, contents)

    assert outline(found) == (
        *("Report", 1),
        [("A", 1, [("A.1", 2, []), ("A.2", 1, [])]), ("B", 0, [])],
    )
    assert found.chunk_ids == (one,)


def test_titles_of_the_tree_are_the_map_of_a_document_without_headings() -> None:
    chunks = chunks_under([()] * 5)
    ids = [chunk.chunk_id for chunk in chunks]
    tree = [
        summary("top", 2, ["left", "right"], ids[:4]),
        summary("right", 1, ids[2:4], ids[2:4]),
        summary("left", 1, ids[:2], ids[:2]),
    ]

    found = of_document("d", "Report", chunks, summaries=tree)

    assert outline(found) == ("Report", 1, [("Left", 2, []), ("Right", 2, [])])
    assert found.chunk_ids == (ids[4],)


def test_a_tree_of_one_summary_gives_its_title_below_that_of_the_document() -> None:
    chunks = chunks_under([()] * 2)
    ids = [chunk.chunk_id for chunk in chunks]

    found = of_document("d", "Note", chunks, summaries=[summary("only", 1, ids, ids)])

    assert outline(found) == ("Note", 0, [("Only", 2, [])])


def test_a_heading_that_is_the_title_is_not_shown_twice() -> None:
    found = of_document("d", "Report", chunks_under([(), ("REPORT",), ("REPORT", "a")]))

    assert outline(found) == ("Report", 2, [("a", 1, [])])


def test_a_document_with_neither_is_one_node() -> None:
    assert outline(of_document("d", "Note", chunks_under([("A",)] * 2))) == ("Note", 2, [])


def documents() -> list[MindMap]:
    return [
        MindMap("First", "1", ("1a",), (MindMap("Part", "1", ("1b",)),)),
        MindMap("Second", "2", ("2a", "2b")),
        MindMap("Third", "3", ("3a",)),
    ]


def test_a_collection_without_a_tree_shows_its_documents() -> None:
    found = of_collection("All", documents())

    assert found == MindMap("All", None, (), tuple(documents()))


@pytest.mark.parametrize("name", ["Travel Policy", "travel-policy.md", "travel_policy.v2.html"])
def test_a_heading_that_says_what_the_document_is_called_is_no_node(name: str) -> None:
    title = "Travel policy v2" if "v2" in name else "Travel Policy"
    paths = [(title,), (title, "Hotels"), (title, "Trains")]

    found = of_document("d", name, chunks_under(paths))

    assert (found.title, [child.title for child in found.children]) == (name, ["Hotels", "Trains"])


def test_themes_have_the_documents_they_draw_on_below() -> None:
    summaries = [
        summary("x", 2, ["s1", "2a"], ["1a", "1b", "2a"], None),
        summary("y", 2, ["2b", "3a", "2a"], ["2a", "2b", "3a"], None),
        summary("z", 3, ["x", "y"], ["1a", "1b", "2a", "2b", "3a"], None),
    ]

    found = of_collection("All", documents(), summaries)

    first: Outline = ("X", 0, [("First", 1, [("Part", 1, [])]), ("Second", 1, [])])
    second: Outline = ("Y", 0, [("Second", 2, []), ("Third", 1, [])])
    assert outline(found) == ("All", 0, [first, second])
    assert [each.document_id for each in found.children[0].children] == ["1", "2"]


def test_a_summary_below_two_others_is_shown_once() -> None:
    summaries = [
        summary("x", 1, ["1a", "1b"], ["1a", "1b"], None),
        summary("y", 1, ["2a", "3a"], ["2a", "3a"], None),
        summary("left", 2, ["x", "y"], ["1a", "1b", "2a", "3a"], None),
        summary("right", 2, ["y", "2b"], ["2a", "2b", "3a"], None),
    ]

    found = of_collection("All", documents(), summaries)

    assert outline(found)[2] == [
        (
            "Left",
            0,
            [
                ("X", 0, [("First", 1, [("Part", 1, [])])]),
                ("Y", 0, [("Second", 1, []), ("Third", 1, [])]),
            ],
        ),
        ("Right", 0, [("Second", 1, [])]),
    ]


def wide_and_deep(broad: int, deep: int, name: str = "n") -> MindMap:
    below = (wide_and_deep(broad, deep - 1, f"{name}.{n}") for n in range(broad))
    return MindMap(name, None, (name,), tuple(below) if deep > 1 else ())


@pytest.mark.parametrize(("broadest", "deepest"), [(1, 1), (1, 4), (2, 2), (3, 3), (4, 4), (9, 9)])
def test_a_bounded_map_is_small_and_loses_no_chunk(broadest: int, deepest: int) -> None:
    whole = wide_and_deep(4, 4)

    found = bounded(whole, broadest, deepest)

    assert all(len(node.children) <= broadest for node in nodes(found))
    assert set(all_chunk_ids(found)) == set(all_chunk_ids(whole))
    assert depth(found) <= deepest + 1
    left_out = (node.title for node in nodes(found) if node.title.endswith("more"))
    hidden = sum(int(title.split()[1]) for title in left_out)
    shown = sum(not node.title.endswith("more") for node in nodes(found))
    assert shown + hidden == sum(1 for _ in nodes(whole))


def test_a_map_that_fits_stays_as_it_is() -> None:
    assert bounded(wide_and_deep(4, 4), 4, 4) == wide_and_deep(4, 4)


def depth(mind_map: MindMap) -> int:
    return 1 + max(map(depth, mind_map.children), default=0)
