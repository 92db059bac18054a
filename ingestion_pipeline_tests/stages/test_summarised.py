"""Trees of a collection: built from nothing, from the build before, and from half a build."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.indexing import CollectionIndex, IndexedDocument
from ingestion_pipeline.indexing.summaries import SummaryIndex
from ingestion_pipeline.llm import Budget, Slots
from ingestion_pipeline.model.collections import RaptorConfig, RaptorMethod, RaptorScope
from ingestion_pipeline.model.summaries import SummaryMethod
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.stages import summarised
from ingestion_pipeline.stages.summarised import TreeInputs, build
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, replies, serving
from ingestion_pipeline_tests.stages.orchard import (
    Chunks,
    Documents,
    Orchard,
    chunks_of,
    passage,
)

DOCUMENTS = {f"d{n:02}": [passage(20 * n + m) for m in range(1 + 3 * n)] for n in range(8)}


@pytest.fixture(autouse=True)
def _keep_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarised, "KEEP_SECONDS", 0.0)


class StopsAfter(NoControl):
    """Raises from its n-th check on, in any thread."""

    def __init__(self, checks: int) -> None:
        self._left = checks
        self._lock = threading.Lock()

    def check(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise LeaseLostError


TEXTS = st.lists(
    st.tuples(st.sampled_from(["", "Part one#", "Part two#"]), st.integers(0, 60)).map(
        lambda each: each[0] + passage(each[1])
    ),
    max_size=14,
)
CHANGES = st.lists(
    st.dictionaries(st.sampled_from("abcdefgh"), st.none() | TEXTS, max_size=3), max_size=5
)


@settings(max_examples=25, deadline=None)
@given(CHANGES, st.sampled_from(RaptorScope), st.randoms(use_true_random=False))
def test_builds_after_any_changes_come_to_the_same_as_one_from_nothing(
    changes: list[Mapping[str, list[str] | None]], scope: RaptorScope, random: Any
) -> None:
    orchard = Orchard(config=RaptorConfig(scope=scope, max_tokens=64))
    documents: dict[str, list[str]] = {}
    for change in changes:
        documents |= {each: texts or [] for each, texts in change.items()}
        before = len(orchard.embedder.encoded)
        known = orchard.rows.as_bytes()
        report = orchard.build(documents)
        untouched = {row for row in known if set(row[3]).isdisjoint(change)}
        of_documents = {row for row in untouched if row[0].document_id is not None}
        assert of_documents <= orchard.rows.as_bytes()
        assert len(orchard.embedder.encoded) - before == report.written
        assert report.summaries == len(orchard.rows.published)
    orchard.build(documents)

    shuffled = list(documents.items())
    random.shuffle(shuffled)
    clean = Orchard(config=orchard.config)
    clean.build(dict(shuffled))
    assert orchard.rows.as_bytes() == clean.rows.as_bytes()
    assert orchard.rows.origin == clean.rows.origin


def test_what_did_not_change_is_neither_written_nor_embedded_again() -> None:
    orchard = Orchard()
    first = orchard.build(DOCUMENTS)
    embedded = len(orchard.embedder.encoded)
    before = orchard.rows.as_bytes()

    again = orchard.build(DOCUMENTS)

    assert first.written == first.summaries == embedded == len(before)
    assert (again.written, again.reused) == (0, first.summaries)
    assert len(orchard.embedder.encoded) == embedded
    assert orchard.rows.as_bytes() == before


def test_an_edited_document_renews_its_own_tree_and_what_is_above_it() -> None:
    orchard = Orchard()
    orchard.build(DOCUMENTS)
    before = orchard.rows.as_bytes()
    texts = [*DOCUMENTS["d05"][:-1], "Something else was found in the cellar."]

    orchard.build({**DOCUMENTS, "d05": texts})

    renewed = [row for row in orchard.rows.as_bytes() - before if row[0].document_id is not None]
    assert {row[0].document_id for row in renewed} == {"d05"}
    assert len(renewed) < orchard.build(DOCUMENTS).layers[1]


@pytest.mark.parametrize("checks", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144])
def test_a_build_that_is_stopped_at_any_check_goes_on_from_what_it_kept(checks: int) -> None:
    clean = Orchard()
    clean.build(DOCUMENTS)
    orchard = Orchard()
    with suppress(LeaseLostError):
        orchard.build(DOCUMENTS, StopsAfter(checks))
    kept = set(orchard.rows.kept)
    stopped = orchard.rows.origin is None

    report = orchard.build(DOCUMENTS)

    assert report.written == (len(clean.rows.published) - len(kept) if stopped else 0)
    assert orchard.rows.as_bytes() == clean.rows.as_bytes()
    assert orchard.rows.draft == {}


def test_a_build_can_be_stopped_again_and_again_and_ends() -> None:
    clean = Orchard()
    written = clean.build(DOCUMENTS).written
    orchard = Orchard()
    for stops in range(20):
        with suppress(LeaseLostError):
            orchard.build(DOCUMENTS, StopsAfter(20 * stops))
    orchard.build(DOCUMENTS)

    assert orchard.rows.as_bytes() == clean.rows.as_bytes()
    # What was under way at each stop, in a few threads, is done again.
    assert len(orchard.embedder.encoded) < 2 * written


def test_nothing_is_published_when_the_commit_may_not_be() -> None:
    orchard = Orchard()

    def refuse() -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        build(orchard.inputs(DOCUMENTS), NoControl(), refuse)

    assert orchard.rows.published == {}
    assert orchard.build(DOCUMENTS).written == 0


@pytest.mark.parametrize(
    ("documents", "layers", "across"),
    [
        ({}, {}, {}),
        ({"a": []}, {}, {}),
        ({"a": [passage(1)]}, {}, {}),
        ({"a": [passage(1)], "b": [passage(2)]}, {}, {1: 1}),
        ({"a": [passage(1), passage(2)]}, {1: 1}, {}),
        ({"a": ["..."] * 3, "b": [""] * 2}, {1: 2}, {2: 1}),
    ],
)
def test_collections_of_next_to_nothing_have_trees_of_next_to_nothing(
    documents: Documents, layers: dict[int, int], across: dict[int, int]
) -> None:
    orchard = Orchard()
    report = orchard.build(documents)

    assert (report.layers, report.across) == (layers, across)
    assert report.summaries == len(orchard.rows.published)


def test_a_thousand_documents_of_one_chunk_have_summaries_across_them_only() -> None:
    orchard = Orchard()
    documents = {f"{n:04}": [passage(n)] for n in range(1000)}

    report = orchard.build(documents)

    assert report.layers == {}
    assert sum(report.across.values()) < 200
    below = {each for row in orchard.rows.published.values() for each in row.documents}
    assert below == set(documents)


def test_the_scope_of_documents_has_nothing_across_them() -> None:
    orchard = Orchard(config=RaptorConfig(max_tokens=64))

    report = orchard.build(DOCUMENTS)

    assert report.across == {}
    assert all(row.summary.document_id for row in orchard.rows.published.values())


def test_another_method_groups_otherwise_and_summarises_no_document_again() -> None:
    orchard = Orchard()
    orchard.build(DOCUMENTS)
    orchard.config = orchard.config.model_copy(update={"method": RaptorMethod.CLASSIC})
    before = orchard.rows.origin

    report = orchard.build(DOCUMENTS)

    assert report.written <= sum(report.across.values())
    assert before is not None
    assert report.origin.recipe != before.recipe
    assert report.origin.leaves == before.leaves == leaves_hash(Chunks(DOCUMENTS).leaf_ids())


def test_documents_that_are_named_get_new_trees_and_all_others_stay_as_they_are() -> None:
    orchard = Orchard()
    orchard.build(DOCUMENTS)
    before, origin = orchard.rows.as_bytes(), orchard.rows.origin
    changed = {**DOCUMENTS, "d03": [passage(500)] * 4, "d04": [passage(600)] * 4, "d05": []}

    report = orchard.build(changed, document_ids=["d03", "d05", "unknown"])

    after = orchard.rows.as_bytes()
    assert {row[0].document_id for row in after ^ before} == {"d03", "d05"}
    assert report.documents == 1
    assert orchard.rows.origin == origin
    assert orchard.build(changed).origin != origin


def test_a_first_tree_of_some_documents_is_not_said_to_be_of_all() -> None:
    orchard = Orchard()

    orchard.build(DOCUMENTS, document_ids=["d03"])

    assert orchard.rows.origin is not None
    assert orchard.rows.origin.leaves != leaves_hash(Chunks(DOCUMENTS).leaf_ids())
    assert {row.documents for row in orchard.rows.published.values()} == {("d03",)}


def test_a_document_that_is_removed_during_the_build_comes_with_nothing() -> None:
    orchard = Orchard()
    inputs = orchard.inputs(DOCUMENTS)

    def remove(fraction: float, message: str) -> None:
        if message == "publishing":
            gone = [key for key, row in orchard.rows.draft.items() if "d04" in row.documents]
            for key in gone:
                del orchard.rows.draft[key]

    build(inputs, NoControl(), lambda: None, remove)

    below = {each for row in orchard.rows.published.values() for each in row.documents}
    assert "d04" not in below
    assert "d05" in below


def test_a_document_that_breaks_the_model_has_no_tree_and_harms_no_other() -> None:
    orchard = Orchard(config=RaptorConfig(max_tokens=64))
    documents = {**DOCUMENTS, "bad": [f"It is {POISON}.", passage(3)]}

    report = orchard.build(documents)
    clean = Orchard(config=orchard.config)
    clean.build(DOCUMENTS)

    assert list(report.failed) == ["bad"]
    assert orchard.rows.as_bytes() == clean.rows.as_bytes()


def test_progress_goes_up_to_one_and_names_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summarised, "TELL_SECONDS", 0.0)
    told: list[tuple[float, str]] = []

    build(
        Orchard().inputs(DOCUMENTS),
        NoControl(),
        lambda: None,
        lambda fraction, message: told.append((fraction, message)),
    )

    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any(message == "documents: 8 of 8" for _, message in told)
    assert any(message.startswith("layer 1 across documents: 1 of") for _, message in told)


def test_summaries_of_a_document_do_not_depend_on_the_language_of_the_others() -> None:
    german = [
        "Der Leuchtturm wurde im Jahr 1900 auf der Insel gebaut und ist heute nicht besetzt. "
        f"Die Lampe {n} wird von einem Wärter mit dem Boot gebracht. Das Öl ist teuer."
        for n in range(6)
    ]
    alone = Orchard(config=RaptorConfig(max_tokens=64))
    alone.build({"de": german})
    together = Orchard(config=RaptorConfig(max_tokens=64))

    together.build({**DOCUMENTS, "de": german})

    assert alone.rows.as_bytes() < together.rows.as_bytes()
    titles = {row.summary.title for row in alone.rows.published.values()}
    assert not {"der", "die", "und"} & {word for title in titles for word in title.split()}


# With a language model


def test_with_a_language_model_summaries_are_its_words_and_their_cost_is_told() -> None:
    orchard = Orchard()
    with serving(lambda asked: Reply(f"Summary {len(asked.user)}.")) as endpoint:
        report = orchard.build(DOCUMENTS, llm=endpoint.model())
        asked = len(endpoint.asked)
        again = orchard.build(DOCUMENTS, llm=endpoint.model())

        assert len(endpoint.asked) == asked == report.written
    assert {row.summary.method for row in orchard.rows.published.values()} == {
        SummaryMethod.ABSTRACTIVE
    }
    assert report.tokens == 7 * asked
    assert (again.written, again.tokens) == (0, 0)


def test_what_the_language_model_fails_at_is_quoted_and_asked_again_the_next_time() -> None:
    refused = {"Station 21 "}

    def answer(asked: Asked) -> Reply:
        bad = any(each in asked.user for each in refused)
        return Reply(status=400) if bad else Reply("A summary.")

    orchard = Orchard()
    with serving(answer) as endpoint:
        first = orchard.build(DOCUMENTS, llm=endpoint.model())
        quoted = methods(orchard)[SummaryMethod.EXTRACTIVE]
        refused.clear()
        second = orchard.build(DOCUMENTS, llm=endpoint.model())

    assert first.failures == first.fallbacks == quoted > 0
    assert quoted <= second.written < second.summaries
    assert second.fallbacks == 0
    assert methods(orchard) == {SummaryMethod.ABSTRACTIVE: second.summaries}


@pytest.mark.parametrize("max_errors", [0, 2])
def test_after_so_many_errors_the_language_model_is_asked_no_more(max_errors: int) -> None:
    orchard = Orchard()
    orchard.config = orchard.config.model_copy(update={"max_errors": max_errors})
    with serving(replies(Reply(status=400))) as endpoint:
        report = orchard.build(DOCUMENTS, llm=endpoint.model(slots=Slots(1)))

        # Two threads may have asked before either knows of the other's failure.
        assert max_errors < len(endpoint.asked) == report.failures <= max_errors + 2
    assert report.fallbacks == report.summaries == methods(orchard)[SummaryMethod.EXTRACTIVE]


def test_a_spent_budget_ends_the_questions_and_not_the_build() -> None:
    orchard = Orchard()
    with serving(replies(Reply("A summary."))) as endpoint:
        report = orchard.build(DOCUMENTS, llm=endpoint.model(budget=Budget(10)))

        assert endpoint.asked == []
    assert report.fallbacks == report.summaries


def test_a_prompt_matters_to_recipes_only_where_somebody_is_asked() -> None:
    def ids(**changes: Any) -> set[str]:
        orchard = Orchard()
        prompt = changes.pop("prompt")
        orchard.config = orchard.config.model_copy(update={"prompt": prompt})
        orchard.build({"d": DOCUMENTS["d02"]}, **changes)
        return set(orchard.rows.published)

    with serving(replies(Reply("A summary."))) as endpoint:
        model = endpoint.model()
        assert ids(prompt="One.", llm=model).isdisjoint(ids(prompt="Two.", llm=model))
        assert ids(prompt="One.") == ids(prompt="Two.")
        assert ids(prompt="One.").isdisjoint(ids(prompt="One.", llm=model))


def methods(orchard: Orchard) -> dict[SummaryMethod, int]:
    return Counter(row.summary.method for row in orchard.rows.published.values())


# With the real index


def test_the_index_has_the_rows_of_a_clean_build_after_changes_and_a_stop(tmp_path: Path) -> None:
    documents = {key: list(texts) for key, texts in DOCUMENTS.items()}
    index = indexed(tmp_path / "changed", documents)
    inputs = inputs_of(index)
    for checks in (40, 80, 120):
        with suppress(LeaseLostError):
            build(inputs, StopsAfter(checks), lambda: None)
    build(inputs, NoControl(), lambda: None)
    documents["d03"] = documents["d03"][2:]
    documents["d09"] = [passage(900)] * 3
    documents["d04"] = []
    index.publish([document(key, documents[key]) for key in ("d03", "d09", "d04")])

    report = build(inputs_of(index), NoControl(), lambda: None)

    clean = inputs_of(indexed(tmp_path / "clean", documents))
    build(clean, NoControl(), lambda: None)
    rows, expected = stored(inputs), stored(clean)
    assert rows == expected
    assert all(row[0].title for row in rows)
    assert 0 < report.written < report.summaries == len(rows)
    assert inputs.summaries.snapshot().origin == clean.summaries.snapshot().origin


def inputs_of(index: CollectionIndex) -> TreeInputs:
    orchard = Orchard()
    return replace(orchard.inputs({}), snapshot=index.snapshot(), summaries=SummaryIndex(index))


def indexed(folder: Path, documents: Documents) -> CollectionIndex:
    index = CollectionIndex(str(folder), "stories", "fake")
    index.publish([document(key, texts) for key, texts in documents.items()])
    return index


def document(document_id: str, texts: Sequence[str]) -> IndexedDocument:
    chunks = chunks_of(document_id, texts)
    return IndexedDocument(
        document_id=document_id,
        version="1",
        fence=1,
        name=f"{document_id}.txt",
        uri="file:///stories",
        media_type="text/plain",
        chunks=chunks,
        vectors=FakeEmbedder().encode([chunk.text for chunk in chunks], NoControl()),
    )


def stored(inputs: TreeInputs) -> list[tuple[Any, ...]]:
    """Return all that readers see, in the order they see it in."""
    return [
        (row.summary, row.vector.tobytes(), row.inputs, row.documents)
        for row in inputs.summaries.snapshot().all()
    ]
