"""Reading in other processes: as here, until somebody says stop, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.graph import Readers, document_graphs, readers
from ingestion_pipeline.graph.reading import Passage
from ingestion_pipeline_tests.graph.documents import document, read

TEXTS = [f"Ada Lovelace met Charles Babbage in town {place}." for place in range(70)]


@pytest.fixture(scope="module")
def two() -> Iterator[Readers]:
    with Readers(2) as readers:
        yield readers


def children(readers: Readers) -> list[int]:
    return [child._process.pid for child in readers._idle]


@pytest.mark.parametrize("most", [1, 3])
def test_graphs_are_the_same_whatever_the_number_of_processes(most: int) -> None:
    materials = [
        document("long", *TEXTS, title="Ada Lovelace"),
        document("short", "The Royal Society (RS) praised Ada. RS met."),
        document("de", "Der alte Leuchtturm wurde gebaut.", language="de"),
        document("zh", "北京是中国的首都。", language="zh"),
    ]
    with Readers(most) as readers:
        found = list(document_graphs(materials, NoControl(), readers=readers))

    assert found == read(*materials)


def test_processes_are_used_again_and_one_stays_for_the_next_change(two: Readers) -> None:
    passages = [Passage(text, "en") for text in TEXTS]
    before = list(two.read(passages, NoControl()))
    started = set(children(two))

    assert list(two.read(passages, NoControl())) == before
    assert set(children(two)) == started
    two.rest()
    assert len(children(two)) == 1
    assert list(two.read(passages, NoControl())) == before


def test_a_process_that_dies_is_an_error_and_the_next_one_reads(two: Readers) -> None:
    [_] = two.read([Passage("Ada met Bob.", "en")], NoControl())
    for pid in children(two):
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(readers.UnreadableError, match="SIGKILL"):
        list(two.read([Passage("Ada met Bob.", "en")], NoControl()))
    two.rest()
    for child in two._idle:
        child.end()
    two._idle.clear()

    [reading] = two.read([Passage("Ada met Bob.", "en")], NoControl())
    assert [span.key for span in reading.spans] == ["ada", "bob"]


def test_whoever_is_told_to_stop_stops_while_a_model_is_loaded() -> None:
    class StopsSoon(NoControl):
        def __init__(self) -> None:
            self.checks = 0

        def check(self) -> None:
            self.checks += 1
            if self.checks > 2:
                raise LeaseLostError

    with Readers(1) as own:
        began = time.monotonic()
        with pytest.raises(LeaseLostError):
            list(own.read([Passage("Ada met Bob.", "en")], StopsSoon()))
        assert time.monotonic() - began < 2
        assert own._idle == []


def test_what_cannot_be_read_is_said(two: Readers) -> None:
    with pytest.raises(readers.UnreadableError, match="Error"):
        list(two.read([Passage(None, "en")], NoControl()))  # type: ignore[arg-type]

    assert list(two.read([], NoControl())) == []
