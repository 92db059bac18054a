"""A batch through the stages: real parsers, chunker, stores and index, and a fake model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Collection as Ids
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, LeaseLostError, TransientError
from ingestion_pipeline.model.documents import (
    STAGES,
    Stage,
)
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline.stages import chunked
from ingestion_pipeline.stages import run as stages_run
from ingestion_pipeline.stages.work import Work
from ingestion_pipeline.storage.parts import StoredChunks
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.test_pool import MISBEHAVING
from ingestion_pipeline_tests.stages.bench import TEXT, Bench, Recorder, computed, remembered

ALL_BUT_SOURCED = set(STAGES) - {Stage.SOURCED}


def test_documents_of_every_format_become_visible_in_one_commit(bench: Bench) -> None:
    documents = [bench.document(name, make()) for name, make in samples.EVERY_FORMAT.items()]
    commits: list[Ids[str]] = []

    def counted(document_ids: Ids[str]) -> AbstractSet[str]:
        commits.append(document_ids)
        return frozenset(document_ids)

    works = bench.run(*documents, announce=counted)

    assert [work.document.name for work in works] == list(samples.EVERY_FORMAT)
    assert all(work.result.error is None for work in works)
    assert all(computed(work) == ALL_BUT_SOURCED for work in works)
    assert all(set(work.result.stages) == set(STAGES) for work in works)
    assert bench.visible() == {work.document.name: work.result.chunks for work in works}
    assert len(commits) == 1
    (pdf,) = (work for work in works if work.document.name.endswith("pdf"))
    assert (pdf.result.pages, pdf.result.media_type) == (4, "application/pdf")
    assert all((work.result.tokens or 0) > 0 for work in works)


def test_what_readers_see_carries_version_and_fencing_token(bench: Bench) -> None:
    (work,) = bench.run(bench.document("a.txt"))

    (version,) = bench.services.index(bench.collection).snapshot().document_versions()
    assert (version.version, version.fence) == (work.document.sha256, 1)


def test_progress_is_told_for_each_document(bench: Bench) -> None:
    control = Recorder()
    (first, second) = bench.run(
        bench.document("a.txt"), bench.document("b.pdf", samples.handbook_pdf()), control=control
    )

    told = {
        (identity, stage): (fraction, text) for identity, stage, fraction, text in control.lines
    }
    assert told[first.document.document_id, Stage.CHUNKED] == (
        0.5,
        f"{first.result.chunks} chunks.",
    )
    assert told[second.document.document_id, Stage.CHUNKED][1].startswith("Page(1~4): ")
    assert told[first.document.document_id, Stage.EMBEDDED][0] == 0.9


def test_documents_that_are_ready_are_embedded_while_another_is_prepared(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = threading.Event()

    def cut_when_another_is_embedded(work: Work, *args: Any) -> StoredChunks:
        if work.document.name == "slow.txt":
            assert embedded.wait(20), "it holds up the others"
        return cut(work, *args)

    def encode(*args: Any) -> Any:
        embedded.set()
        return original(*args)

    cut, original = chunked.run, FakeEmbedder.encode
    monkeypatch.setattr(chunked, "run", cut_when_another_is_embedded)
    monkeypatch.setattr(FakeEmbedder, "encode", encode)
    monkeypatch.setattr(stages_run, "CHUNKS_PER_EMBEDDING_GROUP", 1)

    works = bench.run(bench.document("slow.txt"), bench.document("z.txt", "Other words."))

    assert [work.result.error for work in works] == [None, None]
    assert [work.document.name for work in works] == ["slow.txt", "z.txt"]


def test_whoever_interrupts_a_run_waits_for_no_embedding_that_hangs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def encode(*_: object) -> Any:
        hangs.set()
        goes_on.wait(30)
        raise AssertionError("nobody waits for this")

    def interrupt(*_: object) -> None:
        assert hangs.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeEmbedder, "encode", encode)
    monkeypatch.setattr(stages_run, "in_order", _first_then(interrupt))
    began = time.monotonic()

    with pytest.raises(KeyboardInterrupt):
        bench.run(bench.document("a.txt"))

    assert time.monotonic() - began < 20
    goes_on.set()


def _first_then(action: Callable[[], None]) -> Callable[..., Iterator[None]]:
    """Like ``in_order``, but something happens once the first item is under way."""

    def in_order(
        pool: ThreadPoolExecutor, function: Callable[[Any], None], items: Iterable[Any], _: int
    ) -> Iterator[None]:
        pool.submit(function, next(iter(items)))
        action()
        yield None

    return in_order


def test_a_second_run_uses_what_is_stored_and_publishes_nothing(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt"))

    (second,) = bench.run(remembered(first), announce=_must_not_happen)

    assert computed(second) == set()
    assert set(second.result.stages) == set(STAGES)
    assert bench.visible() == {"a.txt": first.result.chunks}


def test_a_run_that_was_never_recorded_is_done_again_from_what_it_stored(bench: Bench) -> None:
    document = bench.document("a.txt")
    bench.run(document)
    encoded = len(bench.embedder.encoded)

    (again,) = bench.run(document)

    assert computed(again) == {Stage.INDEXED}
    assert len(bench.embedder.encoded) == encoded
    assert bench.visible() == {"a.txt": again.result.chunks}


def test_another_chunk_size_chunks_again_without_parsing(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt"))
    bench.configure(chunk_tokens=32)

    (second,) = bench.run(remembered(first))

    assert computed(second) == set(STAGES[2:])
    assert (second.result.chunks or 0) > (first.result.chunks or 0)
    assert bench.visible() == {"a.txt": second.result.chunks}


def test_another_title_weight_embeds_again_without_chunking(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt"))
    bench.configure(title_weight=0)

    (second,) = bench.run(remembered(first))

    assert computed(second) == {Stage.EMBEDDED, Stage.INDEXED}


def test_titles_are_embedded_only_if_they_weigh(bench: Bench) -> None:
    bench.configure(title_weight=0)
    bench.run(bench.document("untitled.txt", "One line."))
    assert bench.embedder.encoded == ["One line."]

    bench.configure(title_weight=0.3)
    bench.run(
        bench.document("untitled.txt", "Another line."),
        bench.document("page.html", samples.HTML),
        bench.document("README", "No extension."),
    )
    assert {"untitled", "Travel Handbook", "README"} <= set(bench.embedder.encoded)


def test_another_model_is_another_index_and_embeds_again(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt"))
    bench.configure(embedding_model="another")
    assert bench.visible() == {}

    (second,) = bench.run(remembered(first))

    assert computed(second) == {Stage.EMBEDDED, Stage.INDEXED}
    assert bench.visible() == {"a.txt": first.result.chunks}
    assert second.result.index_table != first.result.index_table


def test_a_new_version_replaces_the_old_chunks(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", TEXT))
    newer = replace(bench.document("a.txt", "Short now."), stages=remembered(first).stages)

    (second,) = bench.run(newer)

    assert computed(second) == ALL_BUT_SOURCED
    assert bench.visible() == {"a.txt": 1}


def test_force_computes_everything_again(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt"))

    (second,) = bench.run(replace(remembered(first), force=True))

    assert computed(second) == ALL_BUT_SOURCED
    assert second.result.stages == first.result.stages


def test_a_remote_document_is_fetched_and_gets_its_version(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "sources" / "a.txt"
    source.parent.mkdir()
    source.write_text(TEXT)
    bench.services.settings = bench.services.settings.model_copy(
        update={"source_roots": (source.parent,)}
    )
    remote = bench.document("a.txt", sha256=None, object_key=None, fetch=True, uri=source.as_uri())

    (work,) = bench.run(remote)

    stored = bench.document("a.txt")
    assert work.result.error is None
    assert (work.result.version, work.result.object_key) == (stored.sha256, stored.object_key)
    assert work.result.bytes == len(TEXT)
    assert computed(work) == set(STAGES)
    assert bench.visible() == {"a.txt": work.result.chunks}

    (again,) = bench.run(remembered(work))
    assert computed(again) == {Stage.SOURCED}, "the source is looked at, and is as it was"


BAD = {
    "empty.txt": (b"", ErrorKind.EMPTY),
    "blank.txt": (b" \n\t\n ", ErrorKind.EMPTY),
    "locked.pdf": (samples.handbook_pdf(password="secret"), ErrorKind.ENCRYPTED),
    "broken.pdf": (b"%PDF-1.7 and then nothing", ErrorKind.BROKEN),
    "no-pages.pdf": (samples.pdf_without_pages(), ErrorKind.EMPTY),
    "song.mp3": (b"ID3" + bytes(64), ErrorKind.DEPENDENCY_MISSING),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(64), ErrorKind.BROKEN),
}


def test_bad_documents_fail_with_their_reason_and_spoil_no_other(bench: Bench) -> None:
    documents = [bench.document(name, data) for name, (data, _) in BAD.items()]
    lost = bench.document("lost.txt", object_key="objects/default/docs/00/none")
    never = bench.document("never.txt", sha256=None, object_key=None)

    *works, gone, bare, good = bench.run(*documents, lost, never, bench.document("good.txt"))

    kinds = {work.document.name: work.result.error and work.result.error.kind for work in works}
    assert kinds == {name: kind for name, (_, kind) in BAD.items()}
    assert gone.result.error is not None
    assert bare.result.error is not None
    assert gone.result.error.kind is bare.result.error.kind is ErrorKind.NOT_FOUND
    assert not any(work.result.transient for work in [*works, gone, bare])
    assert good.result.error is None
    assert bench.visible() == {"good.txt": good.result.chunks}


def test_a_document_that_breaks_the_model_is_found_and_fails_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    works = bench.run(
        bench.document("a.txt"),
        bench.document("bad.txt", f"This is {POISON}."),
        bench.document("c.txt"),
    )

    error = works[1].result.error
    assert error is not None
    assert (error.kind, works[1].result.transient) == (ErrorKind.INTERNAL, False)
    assert "ValueError" in error.message
    assert set(bench.visible()) == {"a.txt", "c.txt"}
    assert "the model broke" in caplog.text


def test_many_chunks_are_embedded_in_groups(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages_run, "CHUNKS_PER_EMBEDDING_GROUP", 4)

    works = bench.run(*(bench.document(f"{number}.txt") for number in range(4)))

    assert bench.visible() == {work.document.name: work.result.chunks for work in works}


def test_the_model_is_let_go_of_before_many_chunks_are_published(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = bench.run(bench.document("a.txt"))
    assert bench.embedder.rests == 0

    monkeypatch.setattr(stages_run, "CHUNKS_BESIDE_THE_MODEL", first.result.chunks)
    bench.run(bench.document("b.txt"))
    assert bench.embedder.rests == 1
    assert len(bench.visible()) == 2


def test_an_error_that_may_pass_is_marked_as_such(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise TransientError(ErrorKind.UNAVAILABLE, "the store is busy")

    document = bench.document("a.txt")
    monkeypatch.setattr(type(bench.services.objects), "get", refuse)

    (work,) = bench.run(document)

    assert work.result.transient
    assert work.result.error is not None
    assert work.result.error.kind is ErrorKind.UNAVAILABLE


def test_a_crash_while_parsing_may_pass_and_spoils_no_other(bench: Bench) -> None:
    with ParserPool(1, 30, 2**30, command=MISBEHAVING) as parsers:
        crashed, good = bench.run(
            bench.document("segmentation fault"), bench.document("a.txt"), parsers=parsers
        )

    assert crashed.result.error is not None
    assert (crashed.result.error.kind, crashed.result.transient) == (ErrorKind.CRASHED, True)
    assert good.result.error is None


def test_a_lease_lost_before_the_commit_publishes_nothing(bench: Bench) -> None:
    (first,) = bench.run(bench.document("a.txt", "The old version."))

    def lost(_: Ids[str]) -> AbstractSet[str]:
        raise LeaseLostError("the lease is lost")

    with pytest.raises(LeaseLostError):
        bench.run(bench.document("a.txt"), bench.document("b.txt"), announce=lost)

    (version,) = bench.services.index(bench.collection).snapshot().document_versions()
    assert (version.version, version.chunks) == (first.document.sha256, 1)


@pytest.mark.parametrize("check", [1, 2, 3])
def test_a_lease_lost_at_any_check_stops_the_work_and_publishes_nothing(
    bench: Bench, check: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_run, "CHUNKS_PER_EMBEDDING_GROUP", 1)
    control = Recorder(stop_at_check=check)

    with pytest.raises(LeaseLostError):
        bench.run(bench.document("a.txt"), bench.document("b.txt"), control=control)

    assert bench.visible() == {}


def test_a_lease_lost_while_a_parser_hangs_ends_that_parse_and_leaves_the_parsers_usable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages_run, "CHECK_SECONDS", 0.1)
    documents = [bench.document("hang"), *(bench.document(f"{n}.txt") for n in range(20))]
    with ParserPool(1, 60, 2**30, command=MISBEHAVING) as parsers:
        began = time.monotonic()
        with pytest.raises(LeaseLostError):
            bench.run(*documents, control=Recorder(stop_at_check=3), parsers=parsers)
        assert time.monotonic() - began < 20
        assert not [each for each in threading.enumerate() if each.name.startswith("prepare")]

        (work,) = bench.run(bench.document("a.txt"), parsers=parsers)

    assert work.result.error is None
    assert bench.visible() == {"a.txt": work.result.chunks}


class TestSomeStages:
    """Runs that select some of the stages."""

    def test_parsing_alone_stops_there(self, bench: Bench) -> None:
        (work,) = bench.run(bench.document("a.txt"), stages=[Stage.PARSED])

        assert computed(work) == {Stage.PARSED}
        assert set(work.result.stages) == {Stage.PARSED}
        assert bench.visible() == {}

    def test_looking_at_sources_alone_parses_nothing(self, bench: Bench) -> None:
        (work,) = bench.run(bench.document("a.txt"), stages=[Stage.SOURCED])

        assert set(work.result.stages) == {Stage.SOURCED}

    def test_the_stages_one_after_the_other_do_what_all_do_at_once(self, bench: Bench) -> None:
        document = bench.document("a.txt")
        for stage in STAGES:
            (work,) = bench.run(document, stages=[stage])
            assert work.result.error is None
            assert work.waits_for is None
            assert set(work.result.stages) == {stage}
            document = remembered(work)

        assert bench.visible() == {"a.txt": work.result.chunks}
        (again,) = bench.run(document, announce=_must_not_happen)
        assert computed(again) == set()

    @pytest.mark.parametrize(
        ("selected", "missing"),
        [
            (Stage.CHUNKED, Stage.PARSED),
            (Stage.EMBEDDED, Stage.PARSED),
            (Stage.INDEXED, Stage.PARSED),
        ],
    )
    def test_a_stage_waits_for_the_one_it_reads(
        self, bench: Bench, selected: Stage, missing: Stage
    ) -> None:
        (work,) = bench.run(bench.document("a.txt"), stages=[selected])

        assert work.waits_for is missing
        assert work.result.error is None
        assert work.result.stages == {}
        assert bench.visible() == {}

    def test_a_document_without_bytes_waits_for_its_source(self, bench: Bench) -> None:
        bare = bench.document("a.txt", sha256=None, object_key=None, fetch=True)

        (work,) = bench.run(bare, stages=[Stage.PARSED])

        assert work.waits_for is Stage.SOURCED

    @pytest.mark.parametrize(
        ("lost", "selected"),
        [
            (Stage.PARSED, Stage.CHUNKED),
            (Stage.CHUNKED, Stage.EMBEDDED),
            (Stage.EMBEDDED, Stage.INDEXED),
        ],
    )
    def test_a_stage_whose_input_was_lost_waits_for_it(
        self, bench: Bench, lost: Stage, selected: Stage
    ) -> None:
        (first,) = bench.run(bench.document("a.txt"), stages=STAGES[:-1])
        for key in list(bench.services.store.keys("artifacts/default/docs")):
            if f"/{lost}-" in key:
                bench.services.store.delete(key)

        (work,) = bench.run(replace(remembered(first), force=True), stages=[selected])

        assert work.waits_for is lost
        assert selected not in work.result.stages

    def test_indexing_alone_publishes_what_is_stored(self, bench: Bench) -> None:
        (first,) = bench.run(bench.document("a.txt"), stages=STAGES[:-1])
        encoded = len(bench.embedder.encoded)

        (work,) = bench.run(remembered(first), stages=[Stage.INDEXED])

        assert computed(work) == {Stage.INDEXED}
        assert len(bench.embedder.encoded) == encoded
        assert bench.visible() == {"a.txt": first.result.chunks}

    def test_the_order_in_which_stages_are_named_does_not_matter(self, bench: Bench) -> None:
        (work,) = bench.run(bench.document("a.txt"), stages=list(reversed(STAGES)))

        assert set(work.result.stages) == set(STAGES)


def _must_not_happen(_: Ids[str]) -> AbstractSet[str]:
    pytest.fail("something was published")


class Withdrawing(Recorder):
    """A control by which documents are withdrawn once the work has come so far."""

    def __init__(self, ids: Ids[str], *, at_check: int) -> None:
        super().__init__()
        self._ids = frozenset(ids)
        self._at_check = at_check

    def withdrawn(self) -> AbstractSet[str]:
        return self._ids if self.checks >= self._at_check else frozenset()


class TestWithdrawal:
    """Documents that are canceled or deleted while a run works on them."""

    def test_its_parse_is_ended_and_the_others_go_on(self, bench: Bench) -> None:
        hanging, other = bench.document("hang"), bench.document("a.txt")
        with ParserPool(2, 60, 2**30, command=MISBEHAVING) as parsers:
            began = time.monotonic()
            works = bench.run(
                hanging,
                other,
                control=Withdrawing([hanging.document_id], at_check=2),
                parsers=parsers,
            )

        assert time.monotonic() - began < 20
        assert [work.withdrawn for work in works] == [True, False]
        assert bench.visible() == {"a.txt": works[1].result.chunks}

    @pytest.mark.parametrize("at_check", [1, 2, 99])
    def test_wherever_it_is_heard_nothing_of_it_is_published(
        self, bench: Bench, at_check: int
    ) -> None:
        gone, stays = bench.document("a.txt"), bench.document("b.txt")

        control = Withdrawing([gone.document_id], at_check=at_check)
        works = bench.run(gone, stays, control=control)

        heard = control.checks >= at_check
        assert works[0].withdrawn == heard
        assert set(bench.visible()) == ({"b.txt"} if heard else {"a.txt", "b.txt"})

    def test_what_is_refused_at_the_last_moment_is_not_published(self, bench: Bench) -> None:
        gone, stays = bench.document("a.txt"), bench.document("b.txt")

        works = bench.run(gone, stays, announce=lambda ids: frozenset(ids) - {gone.document_id})

        assert [work.withdrawn for work in works] == [True, False]
        assert set(bench.visible()) == {"b.txt"}

    def test_nothing_is_published_when_all_is_refused(self, bench: Bench) -> None:
        bench.run(bench.document("a.txt"), announce=lambda _: frozenset())

        assert bench.visible() == {}
