"""Which neighbours are summarised together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ingestion_pipeline.raptor import outline
from ingestion_pipeline.raptor.outline import LEAST, MOST, Section
from ingestion_pipeline_tests.raptor.trees import chunks_under, subjects


def ranges(sections: Sequence[Section]) -> list[tuple[int, int]]:
    return [(section.first, section.end) for section in sections]


def alike(count: int) -> NDArray[np.float32]:
    return np.ones((count, 4), np.float32)


PATHS = st.lists(st.lists(st.sampled_from("ABC"), max_size=4).map(tuple), max_size=90)


@settings(deadline=None)
@given(PATHS, st.integers(0, 2**32 - 1))
def test_every_layer_covers_the_one_below_once_and_the_last_is_one_root(
    paths: list[tuple[str, ...]], seed: int
) -> None:
    chunks = chunks_under(paths)
    vectors = np.random.default_rng(seed).normal(size=(len(chunks), 4)).astype(np.float32)

    layers = outline.layers(chunks, vectors)

    below = len(chunks)
    for layer in layers:
        borders = ranges(layer)
        assert borders[0][0] == 0
        assert borders[-1][1] == below
        assert all(one[1] == other[0] for one, other in pairwise(borders))
        assert all(min(LEAST, below) <= end - first <= MOST for first, end in borders)
        below = len(layer)
    assert below == (1 if chunks else 0)
    assert outline.layers(chunks, vectors) == layers


@pytest.mark.parametrize("count", [1, 2, LEAST, MOST])
def test_few_chunks_are_one_section(count: int) -> None:
    assert outline.layers(chunks_under([()] * count), alike(count)) == [[Section(0, count, "")]]


def test_no_chunks_have_no_layers() -> None:
    assert outline.layers([], alike(0)) == []


def test_a_document_with_headings_is_cut_where_they_begin() -> None:
    chunks = chunks_under([("Book", part, str(n)) for part in "AB" for n in range(3)] * 1, each=4)

    layers = outline.layers(chunks, alike(len(chunks)))

    assert [section.heading for section in layers[0]] == ["0", "1", "2"] * 2
    assert ranges(layers[0]) == [(n, n + 4) for n in range(0, 24, 4)]
    assert layers[1:] == [[Section(0, 3, "A"), Section(3, 6, "B")], [Section(0, 2, "Book")]]


def test_tiny_sections_stay_with_the_neighbour_under_the_same_heading() -> None:
    paths = [("A", "a"), ("A", "b"), ("A", "c"), ("B", "d"), ("B", "e"), ("B", "f")]

    (layer, _) = outline.layers(chunks_under(paths), alike(len(paths)))

    assert layer == [Section(0, 3, "A"), Section(3, 6, "B")]


def test_a_heading_over_several_sections_names_none_of_them() -> None:
    chunks = chunks_under([("All of it",)] * 30)

    layers = outline.layers(chunks, subjects(3, 10))

    assert ranges(layers[0]) == [(0, 10), (10, 20), (20, 30)]
    assert {section.heading for section in layers[0]} == {""}
    assert layers[-1] == [Section(0, 3, "All of it")]


def test_text_without_headings_is_cut_where_the_subject_changes() -> None:
    lengths = (4, 9, 3, 7, 10, 5)
    vectors = np.repeat(np.eye(len(lengths), dtype=np.float32), lengths, axis=0)

    layer = outline.layers(chunks_under([()] * sum(lengths)), vectors)[0]

    changes = set(np.cumsum(lengths).tolist())
    assert {section.end for section in layer} <= changes
    assert len(layer) >= sum(lengths) / MOST


def test_chunks_without_a_vector_are_grouped_too() -> None:
    layers = outline.layers(chunks_under([()] * 40), np.zeros((40, 4), np.float32))

    assert len(layers[-1]) == 1


def test_a_hundred_thousand_chunks_take_seconds() -> None:
    count = 100_000
    chunks = chunks_under([()] * count)
    vectors = np.random.default_rng(0).normal(size=(count, 16)).astype(np.float32)

    started = time.process_time()
    layers = outline.layers(chunks, vectors)

    assert time.process_time() - started < 20
    assert len(layers[-1]) == 1
    assert sum(section.end - section.first for section in layers[0]) == count
