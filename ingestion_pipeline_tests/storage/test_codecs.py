from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.model.chunks import Chunk
from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument
from ingestion_pipeline.model.graph import (
    DocumentEntity,
    DocumentGraph,
    DocumentRelation,
    Mention,
    Term,
)
from ingestion_pipeline.model.summaries import Citation
from ingestion_pipeline.storage import codecs
from ingestion_pipeline.storage.parts import ReadTexts

NOTHING_READ = ReadTexts([], np.empty((0, 1), np.float32))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ELEMENTS = st.builds(
    Element,
    category=st.sampled_from(ElementCategory),
    text=TEXT,
    page=st.none() | st.integers(1, 10_000),
    level=st.none() | st.integers(1, 6),
    heading_path=st.lists(TEXT, max_size=3).map(tuple),
    html=st.none() | TEXT,
)
PARSED = st.builds(
    ParsedDocument,
    media_type=TEXT,
    elements=st.lists(ELEMENTS, max_size=4).map(tuple),
    title=st.none() | TEXT,
    pages=st.none() | st.integers(0, 10_000),
    warnings=st.lists(TEXT, max_size=2).map(tuple),
    scanned_pages=st.integers(0, 10_000),
)
CHUNKS = st.lists(
    st.builds(
        Chunk,
        chunk_id=TEXT,
        document_id=TEXT,
        ordinal=st.integers(0),
        text=TEXT,
        tokens=st.integers(0),
        start=st.integers(0),
        end=st.integers(0),
        pages=st.lists(st.integers(1)).map(tuple),
        heading_path=st.lists(TEXT, max_size=3).map(tuple),
    ),
    max_size=4,
)
ODD = "nul \0, bidi \u202e, line \u2028, astral \U0001f600, combining e\u0301, \ufeff, \uffff"


@given(PARSED)
def test_a_parsed_document_comes_back_equal(parsed: ParsedDocument) -> None:
    assert codecs.decode_parsed(codecs.encode_parsed(parsed)) == parsed


@given(CHUNKS)
def test_chunks_come_back_equal(chunks: list[Chunk]) -> None:
    assert codecs.decode_chunks(codecs.encode_chunks(chunks)) == chunks


@given(
    st.builds(
        DocumentGraph,
        document_id=TEXT,
        sentences=st.lists(st.builds(Citation, TEXT, st.integers(0), st.integers(0))).map(tuple),
        entities=st.lists(
            st.builds(
                DocumentEntity,
                key=TEXT,
                name=TEXT,
                aliases=st.lists(TEXT, max_size=2).map(tuple),
                mentions=st.lists(st.builds(Mention), max_size=2).map(tuple),
            ),
            max_size=2,
        ).map(tuple),
        relations=st.lists(st.builds(DocumentRelation, predicate=TEXT), max_size=2).map(tuple),
        terms=st.lists(st.builds(Term, TEXT), max_size=2).map(tuple),
        abbreviations=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
    )
)
def test_a_graph_comes_back_equal(graph: DocumentGraph) -> None:
    assert codecs.decode_graph(codecs.encode_graph(graph)) == graph


def test_odd_text_comes_back_equal_and_canonical() -> None:
    element = Element(ElementCategory.TITLE, ODD, level=1, heading_path=(ODD,))
    parsed = ParsedDocument("text/plain", (element, element), title=ODD)
    assert parsed.text  # a cached text is not part of what is stored
    assert codecs.decode_parsed(codecs.encode_parsed(parsed)).text == f"{ODD}\n\n{ODD}"


@pytest.mark.parametrize("shape", [(0, 384), (1, 1), (1, 384), (257, 384)])
def test_vectors_come_back_bit_by_bit(shape: tuple[int, int]) -> None:
    vectors = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    again = codecs.decode_vectors(codecs.encode_vectors(vectors, NOTHING_READ))
    assert again.dtype == np.float32
    assert again.shape == shape
    assert again.tobytes() == vectors.tobytes()
    again[:] = 0  # may be written to


def test_vectors_come_with_those_of_the_texts_they_are_made_of() -> None:
    read = ReadTexts([b"a", b"b", b"c"], np.eye(3, 4, dtype=np.float32))
    rows, again = codecs.decode_read(codecs.encode_vectors(np.ones((2, 4), np.float32), read))
    assert (rows, again.keys) == (2, read.keys)
    assert again.vectors.tobytes() == read.vectors.tobytes()


def test_vectors_of_any_layout_and_float_become_float32_rows() -> None:
    vectors = np.arange(12, dtype=np.float64).reshape(3, 4).T[::2]
    again = codecs.decode_vectors(codecs.encode_vectors(vectors, NOTHING_READ))
    assert np.array_equal(again, vectors.astype(np.float32))


@pytest.mark.parametrize(
    "decode",
    [
        codecs.decode_parsed,
        codecs.decode_chunks,
        codecs.decode_vectors,
        codecs.decode_read,
        codecs.decode_graph,
    ],
)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        zlib.compress(b"{}"),
        zlib.compress(b"\xff"),
        zlib.compress(b'[{"chunk_id": 1}]'),
        codecs.encode_vectors(np.zeros((3, 4), np.float32), NOTHING_READ)[:-20],
        codecs.encode_chunks([])[:-1],
    ],
)
def test_bytes_of_another_form_are_a_value_error(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode(data)


def test_an_arrow_file_of_another_form_is_a_value_error() -> None:
    for columns in ({"other": [1]}, {"vector": [1.5]}):
        batch = pa.record_batch(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        with pytest.raises(ValueError, match="not a file of vectors"):
            codecs.decode_vectors(sink.getvalue().to_pybytes())
