"""Graphs of a collection: built from nothing, from the build before, and from half a build."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion_pipeline.control import NoControl
from ingestion_pipeline.errors import LeaseLostError
from ingestion_pipeline.graph import Readers
from ingestion_pipeline.indexing import (
    CollectionIndex,
    GraphCounts,
    GraphIndex,
    IndexedDocument,
    IndexedReport,
    Origin,
)
from ingestion_pipeline.llm import Budget, Usage
from ingestion_pipeline.model.collections import CollectionName, GraphConfig
from ingestion_pipeline.model.graph import (
    Community,
    Entity,
    EntityType,
    ExtractionMethod,
    Relation,
    Report,
    SameEntity,
)
from ingestion_pipeline.model.summaries import SummaryMethod
from ingestion_pipeline.raptor import leaves_hash
from ingestion_pipeline.stages import graph_sources, graphed, told
from ingestion_pipeline.stages.graph_inputs import GraphInputs
from ingestion_pipeline.stages.graphed import GraphReport, build
from ingestion_pipeline.storage.artifacts import ArtifactStore
from ingestion_pipeline.storage.local import LocalStore
from ingestion_pipeline_tests.fakes import POISON, FakeEmbedder
from ingestion_pipeline_tests.llm.endpoints import Asked, Reply, replies, serving
from ingestion_pipeline_tests.stages.orchard import Chunks, Documents, chunks_of, passage

if TYPE_CHECKING:
    from ingestion_pipeline.control import Control
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.indexing import Snapshot

NAME = CollectionName("acme", "stories")
READERS = Readers(2)
DOCUMENTS = {f"d{n:02}": [passage(4 * n + m) for m in range(1 + n)] for n in range(8)}


@pytest.fixture(autouse=True, scope="module")
def readers() -> Iterator[None]:
    """Let the same processes read in all builds."""
    with READERS:
        yield


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


@dataclass
class Tables:
    """What ``GraphIndex`` does, with lists."""

    found: tuple[Sequence[Entity], Sequence[Relation], Sequence[Community]] = ((), (), ())
    indexed: Sequence[IndexedReport] = ()
    origin: Origin | None = None

    def publish(
        self,
        entities: Iterable[Entity],
        relations: Iterable[Relation],
        communities: Iterable[Community],
        reports: Iterable[IndexedReport],
        origin: Origin,
        dimension: int,
        before_commit: Callable[[], None],
    ) -> GraphCounts:
        found = (list(entities), list(relations), list(communities))
        indexed = list(reports)
        assert all(each.vector.shape == (dimension,) for each in indexed)
        before_commit()
        self.found, self.indexed, self.origin = found, indexed, origin
        return GraphCounts(*map(len, found), len(indexed))

    def snapshot(self) -> Tables:
        return copy.copy(self)

    def remove_missing(self, _document_ids: Collection[str]) -> int:
        return 0

    def communities(self) -> Iterator[Community]:
        yield from self.found[2]

    def reports(self) -> Iterator[Report]:
        yield from (each.report for each in self.indexed)

    def rows(self) -> list[object]:
        return rows(*self.found, self.indexed)


def rows(
    entities: Iterable[Entity],
    relations: Iterable[Relation],
    communities: Iterable[Community],
    reports: Iterable[IndexedReport],
) -> list[object]:
    """Return all that readers see, in their order, communities by who is in them.

    Their ids are kept from build to build, so that they tell of builds before.
    """
    found = list(communities)
    known: dict[str | None, object] = {
        each.community_id: (each.level, each.entity_ids) for each in found
    }
    assert len(known) == len(found)
    known[None] = None
    return [
        *entities,
        *relations,
        *((known[each.community_id], known[each.parent_id]) for each in found),
        *(
            (
                known[each.report.community_id],
                replace(each.report, community_id=""),
                each.vector.tobytes(),
            )
            for each in reports
        ),
    ]


@dataclass
class Collected:
    """A collection whose graph is built again and again."""

    folder: Path
    tables: Tables = field(default_factory=Tables)
    embedder: FakeEmbedder = field(default_factory=FakeEmbedder)
    config: GraphConfig = field(default_factory=GraphConfig)

    def inputs(self, documents: Documents, **changes: Any) -> GraphInputs:
        inputs = GraphInputs(
            snapshot=cast("Snapshot", Chunks(documents)),
            graphs=cast("GraphIndex", self.tables),
            artifacts=ArtifactStore(LocalStore(self.folder)),
            collection=NAME,
            config=self.config,
            embedder=cast("Embedder", self.embedder),
            readers=READERS,
        )
        return replace(inputs, **changes)

    def build(
        self,
        documents: Documents,
        control: Control | None = None,
        document_ids: Collection[str] | None = None,
        **changes: Any,
    ) -> GraphReport:
        inputs = self.inputs(documents, **changes)
        return build(inputs, control or NoControl(), lambda: None, document_ids=document_ids)


@pytest.fixture
def collected(tmp_path: Path) -> Collected:
    return Collected(tmp_path / "changed")


def clean(folder: Path, documents: Documents, **changes: Any) -> list[object]:
    """Return the tables of a build from nothing."""
    made = Collected(folder / "clean")
    made.build(documents, **changes)
    return made.tables.rows()


NAMESAKES = (
    "Ada Smith is a pitcher for the Boston Red Sox. Smith played in Fenway Park on Saturday.",
    "Ada Smith is a chemist in Cambridge. Smith won a medal of the Royal Society for polymers.",
    "The Royal Society praised the work of Ada Smith. Smith spoke in London about polymers.",
)
TEXTS = st.lists(
    st.tuples(st.sampled_from(["", "Part one#"]), st.integers(0, 12)).map(
        lambda each: each[0] + passage(each[1])
    )
    | st.sampled_from(NAMESAKES),
    max_size=3,
    unique_by=lambda text: text.rpartition("#")[2],
)
CHANGES = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.none() | TEXTS, min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@settings(max_examples=10, deadline=None)
@given(CHANGES, st.randoms(use_true_random=False))
def test_builds_after_any_changes_come_to_the_same_as_one_from_nothing(
    changes: list[Mapping[str, list[str] | None]], random: Any
) -> None:
    with TemporaryDirectory() as folder:
        collected = Collected(Path(folder) / "changed")
        documents: dict[str, list[str]] = {}
        read: dict[str, list[str]] = {}
        for change in changes:
            documents |= {each: texts or [] for each, texts in change.items()}
            report = collected.build(documents)
            new = {key: texts for key, texts in documents.items() if texts}
            assert report.extracted == sum(read.get(key) != texts for key, texts in new.items())
            read |= new
        shuffled = list(documents.items())
        random.shuffle(shuffled)

        assert collected.tables.rows() == clean(Path(folder), dict(shuffled))
        assert collected.tables.origin == Origin(
            leaves_hash(Chunks(documents).leaf_ids()), collected.inputs({}).recipe
        )


def test_what_did_not_change_is_neither_read_nor_written_again_and_nothing_is_embedded(
    collected: Collected,
) -> None:
    first = collected.build(DOCUMENTS)
    before, communities = collected.tables.rows(), list(collected.tables.communities())

    again = collected.build(DOCUMENTS)

    assert (first.extracted, first.reused) == (len(DOCUMENTS), 0)
    assert first.reports_written == first.counts.reports == sum(first.communities.values()) > 0
    assert (again.extracted, again.reused) == (0, len(DOCUMENTS))
    assert (again.reports_written, again.reports_reused) == (0, first.counts.reports)
    assert collected.embedder.encoded == []
    assert collected.tables.rows() == before
    assert list(collected.tables.communities()) == communities


def test_an_edited_document_alone_is_read_and_few_reports_are_written(
    collected: Collected,
) -> None:
    first = collected.build(DOCUMENTS)
    texts = [*DOCUMENTS["d01"], "The brass lamp of Station 4 is in Oslo."]

    report = collected.build({**DOCUMENTS, "d01": texts})

    assert (report.extracted, report.reused) == (1, len(DOCUMENTS) - 1)
    assert 0 < report.reports_written < first.counts.reports / 2
    assert collected.build(DOCUMENTS).extracted == 1


def test_when_chunks_have_other_vectors_so_have_reports_though_their_texts_stay(
    collected: Collected, tmp_path: Path
) -> None:
    first = collected.build(DOCUMENTS)
    snapshot = Chunks(DOCUMENTS)
    sources = snapshot.sources
    snapshot.sources = lambda ids: ((*each, -vectors) for *each, vectors in sources(ids))  # type: ignore[method-assign]

    again = collected.build(DOCUMENTS, snapshot=snapshot, vectors="others")

    assert (again.extracted, again.reports_written) == (0, 0)
    assert again.origin.recipe != first.origin.recipe
    assert again.origin.leaves == first.origin.leaves
    expected = clean(tmp_path, DOCUMENTS, snapshot=snapshot)
    assert collected.tables.rows() == expected


def test_another_title_is_another_document(collected: Collected) -> None:
    collected.build(DOCUMENTS)
    snapshot = Chunks(DOCUMENTS)
    names = snapshot.document_names()
    snapshot.document_names = lambda: {**names, "d03": "Station 4.txt"}  # type: ignore[method-assign]

    report = collected.build(DOCUMENTS, snapshot=snapshot)

    assert report.extracted == 1
    assert [each.name for each in collected.tables.found[0] if each.titles] == ["Station 4"]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("folder/Station 4.txt", "Station 4"),
        ("mail.eml/Brass_Lamp.pdf", "Brass Lamp"),
        ("北京.md", "北京"),
        ("self-service portal.md", "self-service portal"),
        ("handbook.md", None),
        ("scan-0042.pdf", None),
        ("IMG_20340.jpg", None),
        ("README.rst", None),
    ],
)
def test_a_file_name_is_a_title_if_it_looks_like_one(name: str, title: str | None) -> None:
    assert graph_sources.title_of(name) == title


@pytest.mark.parametrize("checks", [0, 3, 20, 80, 160])
def test_a_build_that_is_stopped_at_any_check_goes_on_from_what_it_read(
    collected: Collected, tmp_path: Path, checks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_sources, "CHUNKS_AT_ONCE", 4)
    with suppress(LeaseLostError):
        collected.build(DOCUMENTS, StopsAfter(checks))
    stored = len(list(ArtifactStore(LocalStore(collected.folder)).document_ids(NAME)))

    report = collected.build(DOCUMENTS)

    assert report.extracted == len(DOCUMENTS) - stored
    assert collected.tables.rows() == clean(tmp_path, DOCUMENTS)


def test_nothing_is_published_when_the_commit_may_not_be(collected: Collected) -> None:
    def refuse() -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        build(collected.inputs(DOCUMENTS), NoControl(), refuse)

    assert collected.tables.origin is None
    assert collected.build(DOCUMENTS).extracted == 0


@pytest.mark.parametrize(
    ("documents", "entities"),
    [
        ({}, 0),
        ({"a": []}, 0),
        ({"a": ["..."]}, 0),
        ({"a": [""], "b": ["   "]}, 0),
        ({"a": ["Oslo is the capital of Norway."]}, 2),
    ],
)
def test_collections_of_next_to_nothing_have_graphs_of_next_to_nothing(
    collected: Collected, documents: Documents, entities: int
) -> None:
    report = collected.build(documents)

    assert report.counts.entities == entities
    assert report.counts.reports == report.counts.communities == min(entities, 1)
    assert collected.tables.origin == report.origin


def test_without_communities_there_are_none_and_no_reports(collected: Collected) -> None:
    collected.config = GraphConfig(communities=False)

    report = collected.build(DOCUMENTS)

    assert report.counts.entities > 0
    assert (report.counts.communities, report.counts.reports, report.modularity) == (0, 0, 0)
    assert collected.embedder.encoded == []


def test_only_types_that_are_asked_for_are_kept_and_nothing_is_read_again(
    collected: Collected,
) -> None:
    documents = {"a": ["Oslo is in Norway. Oslo was founded in 1040."], "b": ["Oslo is in Norway."]}
    collected.build(documents)
    recipe = collected.inputs({}).recipe
    collected.config = GraphConfig(entity_types=(EntityType.PLACE,))

    report = collected.build(documents)

    entities, relations, _ = collected.tables.found
    assert sorted(each.name for each in entities) == ["Norway", "Oslo"]
    ids = {each.entity_id for each in entities}
    assert {end for each in relations for end in (each.source, each.target)} == ids
    assert (report.extracted, report.origin.recipe == recipe) == (0, False)


def test_names_are_brought_together_by_rules_if_these_are_wanted_and_by_persons_always(
    collected: Collected,
) -> None:
    documents = {
        "a": ["The World Health Organization (WHO) is in Geneva."],
        "b": ["The WHO met in Oslo."],
        "c": ["Christiania is a city."],
    }

    def names(**changes: Any) -> set[str]:
        collected.build(documents, **changes)
        return {each.name for each in collected.tables.found[0]}

    together = names()
    collected.config = GraphConfig(resolution=False)
    apart = names()

    assert apart - together == {"WHO"}
    assert len(apart - names(corrections=[SameEntity("Oslo", "Christiania")])) == 1


def test_documents_that_are_named_are_read_and_others_only_if_that_was_done_before(
    collected: Collected, tmp_path: Path
) -> None:
    some = collected.build(DOCUMENTS, document_ids=["d03", "d04", "unknown"])
    assert (some.extracted, some.left_out) == (2, len(DOCUMENTS) - 2)
    assert some.origin.leaves != leaves_hash(Chunks(DOCUMENTS).leaf_ids())
    assert set().union(*(each.document_ids for each in collected.tables.found[0])) == {"d03", "d04"}

    collected.build(DOCUMENTS)
    changed = {**DOCUMENTS, "d03": [passage(50)], "d05": [passage(60)], "d06": []}
    report = collected.build(changed, document_ids=["d03"])

    assert (report.extracted, report.left_out, report.reused) == (1, 1, len(DOCUMENTS) - 3)
    expected = {key: texts for key, texts in changed.items() if key != "d05"}
    assert collected.tables.rows() == clean(tmp_path, expected)


def test_a_document_that_cannot_be_read_harms_no_other(
    collected: Collected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = graph_sources.document_graphs

    def breaks(materials: Sequence[Any], *arguments: Any) -> Iterator[Any]:
        if any(POISON in chunk.text for each in materials for chunk in each.chunks):
            raise ValueError("the parser broke")
        return read(materials, *arguments)

    monkeypatch.setattr(graph_sources, "document_graphs", breaks)
    report = collected.build({**DOCUMENTS, "bad": [f"It is {POISON}."]})

    assert report.failed == {"bad": "ValueError: the parser broke"}
    assert (report.extracted, report.reused) == (len(DOCUMENTS), 0)
    assert report.origin.leaves == leaves_hash(Chunks(DOCUMENTS).leaf_ids())
    assert collected.tables.rows() == clean(tmp_path, DOCUMENTS)


def test_progress_goes_up_to_one_and_names_what_is_done(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "TELL_SECONDS", 0.0)
    heard: list[tuple[float, str]] = []

    report = build(
        collected.inputs(DOCUMENTS),
        NoControl(),
        lambda: None,
        lambda fraction, message: heard.append((fraction, message)),
    )

    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    messages = [message for _, message in heard]
    written = report.reports_written
    assert {"documents: 8 of 8", "merging", f"reports: {written} of {written}"} <= set(messages)
    assert list(report.seconds) == [
        "extract",
        "link",
        "merge",
        "communities",
        "reports",
        "publish",
    ]


def test_a_document_in_another_language_has_its_key_phrases(collected: Collected) -> None:
    german = (
        "Der alte Leuchtturm wurde auf der Insel gebaut und ist heute nicht besetzt. "
        "Die Lampe im Leuchtturm wird von einem Wärter mit dem Boot gebracht."
    )

    collected.build({"de": [german], "auch": [german.replace("Insel", "Klippe")]})

    assert "leuchtturm" in {each.key for each in collected.tables.found[0]}


# With a language model


def answered(asked: Asked) -> Reply:
    """Find one name in passages, and report in one sentence."""
    if "knowledge graph" not in asked.system:
        return Reply("These belong together.")
    found = {"entities": [{"name": "Station", "type": "place"}], "relations": []}
    return Reply(json.dumps(found))


def test_with_a_language_model_reports_are_its_words_and_their_cost_is_told(
    collected: Collected,
) -> None:
    with serving(answered) as endpoint:
        report = collected.build(DOCUMENTS, llm=endpoint.model())
        asked = len(endpoint.asked)
        again = collected.build(DOCUMENTS, llm=endpoint.model())

        assert len(endpoint.asked) == asked == report.reports_written
    assert {each.report.method for each in collected.tables.indexed} == {SummaryMethod.ABSTRACTIVE}
    assert report.tokens == 7 * asked
    assert (again.reports_written, again.tokens, again.extracted) == (0, 0, 0)


def test_a_language_model_reads_documents_where_that_is_configured(collected: Collected) -> None:
    collected.config = GraphConfig(method=ExtractionMethod.LIGHT, communities=False)
    chunks = sum(map(len, DOCUMENTS.values()))
    with serving(answered) as endpoint:
        report = collected.build(DOCUMENTS, llm=endpoint.model())
        again = collected.build(DOCUMENTS, llm=endpoint.model())

        assert len(endpoint.asked) == chunks
    assert (report.tokens, report.incomplete, report.extracted) == (7 * chunks, 0, len(DOCUMENTS))
    assert (again.tokens, again.extracted) == (0, 0)
    assert "station" in {each.key for each in collected.tables.found[0]}
    assert collected.build(DOCUMENTS).extracted == len(DOCUMENTS)


def test_a_spent_budget_ends_the_questions_and_not_the_build(
    collected: Collected, tmp_path: Path
) -> None:
    collected.config = GraphConfig(method=ExtractionMethod.LIGHT)
    with serving(answered) as endpoint:
        report = collected.build(DOCUMENTS, llm=endpoint.model(budget=Budget(10)))
        assert endpoint.asked == []
        assert report.incomplete == report.extracted == len(DOCUMENTS)
        assert report.fallbacks == report.counts.reports
        assert len(report.warnings) == len(DOCUMENTS)
        by_quoting = clean(tmp_path, DOCUMENTS)
        assert [row for row in collected.tables.rows() if isinstance(row, Entity)] == [
            row for row in by_quoting if isinstance(row, Entity)
        ]

        again = collected.build(DOCUMENTS, llm=endpoint.model())

    assert (again.incomplete, again.fallbacks, again.extracted) == (0, 0, len(DOCUMENTS))


def test_what_a_build_will_ask_is_known_before_and_is_not_asked(collected: Collected) -> None:
    collected.config = GraphConfig(method=ExtractionMethod.GENERAL, communities=False)
    chunks = sum(map(len, DOCUMENTS.values()))
    with serving(answered) as endpoint:
        inputs = collected.inputs(DOCUMENTS, llm=endpoint.model())
        before = graphed.estimate(inputs, NoControl())
        some = graphed.estimate(inputs, NoControl(), ["d03"])
        assert endpoint.asked == []
        report = build(inputs, NoControl(), lambda: None)
        after = graphed.estimate(inputs, NoControl())

        assert (before.documents, before.chunks) == (len(DOCUMENTS), chunks)
        assert before.calls == len(endpoint.asked) == 2 * chunks
        assert report.estimate == before
    assert 0 < report.tokens < before.tokens
    assert (some.documents, some.calls) == (1, 2 * len(DOCUMENTS["d03"]))
    assert (after.documents, after.calls, after.tokens, after.seconds) == (0, 0, 0, 0)
    assert graphed.estimate(replace(inputs, llm=None), NoControl()).calls == 0


def test_answers_that_are_kept_cost_nothing(collected: Collected) -> None:
    collected.config = GraphConfig(method=ExtractionMethod.LIGHT, communities=False)
    chunks = sum(map(len, DOCUMENTS.values()))
    usage = Usage()
    with serving(answered) as endpoint:
        model = endpoint.model(budget=Budget(3000)).metered(usage)
        stopped = collected.build(DOCUMENTS, llm=model)
        assert 0 < usage.calls == len(endpoint.asked) < chunks
        assert usage.tokens == stopped.tokens == 7 * usage.calls

        rest = graphed.estimate(collected.inputs(DOCUMENTS, llm=endpoint.model()), NoControl())
        report = collected.build(DOCUMENTS, llm=endpoint.model())

        assert rest.calls == chunks - stopped.tokens // 7
        assert len(endpoint.asked) == chunks
        assert (report.incomplete, report.tokens) == (0, 7 * rest.calls)


def test_a_language_model_is_asked_about_doubtful_names_if_that_is_wanted(
    collected: Collected,
) -> None:
    documents = {"a": ["The office hired John Smith in Oslo."], "b": ["Jane Doe met J. Smith."]}

    def all_same(asked: Asked) -> Reply:
        return Reply('{"same": [1]}') if "same thing" in asked.system else Reply("They met.")

    with serving(all_same) as endpoint:
        apart = collected.build(documents, llm=endpoint.model())
        assert not any("same thing" in asked.system for asked in endpoint.asked)
        collected.config = GraphConfig(resolve_with_llm=True)
        recipe = collected.inputs(documents, llm=endpoint.model()).recipe
        report = collected.build(documents, llm=endpoint.model())

    assert (report.doubts, report.doubts_unanswered) == (1, 0)
    assert report.counts.entities == apart.counts.entities - 1
    assert apart.origin.recipe != recipe == report.origin.recipe
    assert collected.build(documents).counts.entities == apart.counts.entities


def test_what_the_language_model_fails_at_is_quoted_and_asked_again_the_next_time(
    collected: Collected,
) -> None:
    with serving(replies(Reply(status=400))) as endpoint:
        first = collected.build(DOCUMENTS, llm=endpoint.model())
    assert first.fallbacks == first.counts.reports > 0
    assert {each.report.method for each in collected.tables.indexed} == {SummaryMethod.EXTRACTIVE}

    with serving(answered) as endpoint:
        second = collected.build(DOCUMENTS, llm=endpoint.model())

    assert (second.fallbacks, second.reports_written) == (0, first.counts.reports)


# With the real index


def test_the_index_has_the_rows_of_a_clean_build_after_changes_and_a_stop(tmp_path: Path) -> None:
    documents = {key: list(texts) for key, texts in DOCUMENTS.items()}
    changed = indexed(tmp_path / "changed", documents)
    with suppress(LeaseLostError):
        build(changed(), StopsAfter(30), lambda: None)
    build(changed(), NoControl(), lambda: None)
    documents["d03"] = documents["d03"][1:]
    documents["d09"] = [passage(90)]
    documents["d04"] = []
    index = CollectionIndex(str(tmp_path / "changed"), "stories", "fake")
    index.publish([document(key, documents[key]) for key in ("d03", "d09", "d04")])

    report = build(changed(), NoControl(), lambda: None)

    expected = indexed(tmp_path / "clean", documents)
    build(expected(), NoControl(), lambda: None)
    assert stored(changed()) == stored(expected())
    assert (report.extracted, report.reused) == (2, len(DOCUMENTS) - 2)
    assert changed().graphs.snapshot().origin == expected().graphs.snapshot().origin


def test_a_document_that_is_removed_during_the_build_comes_with_nothing(tmp_path: Path) -> None:
    inputs = indexed(tmp_path, DOCUMENTS)()

    def remove(_fraction: float, message: str) -> None:
        if message == "publishing":
            CollectionIndex(str(tmp_path), "stories", "fake").publish([], removed=["d07"])

    build(inputs, NoControl(), lambda: None, remove)

    found = inputs.graphs.snapshot()
    rest = (*found.relations(), *found.reports())
    assert all("d07" not in each.document_ids for each in rest)
    assert all(each.document_ids != ("d07",) for each in found.entities())
    assert found.counts().relations > 0


def indexed(folder: Path, documents: Documents) -> Callable[[], GraphInputs]:
    """Return what gives the inputs of an index as it is then."""
    index = CollectionIndex(str(folder), "stories", "fake")
    index.publish([document(key, texts) for key, texts in documents.items()])
    collected = Collected(folder / "store")
    return lambda: collected.inputs({}, snapshot=index.snapshot(), graphs=GraphIndex(index))


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


def stored(inputs: GraphInputs) -> list[object]:
    found = inputs.graphs.snapshot()
    return rows(found.entities(), found.relations(), found.communities(), found.indexed_reports())
