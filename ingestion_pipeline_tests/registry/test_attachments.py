"""Documents within documents: they come with their parent, and go with it."""

from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind
from ingestion_pipeline.model.collections import ParserKind
from ingestion_pipeline.model.documents import DocumentState, Stage, document_id
from ingestion_pipeline.model.tasks import Priority, ReindexOnly, TaskState
from ingestion_pipeline.registry.arrivals import Attached, NewDocument
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.publications import Adopted
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.results import DocumentResult
from ingestion_pipeline.registry.transitions import TaskUpdate
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    asking,
    column,
    delete,
    digest,
    done,
    doubts,
    failed,
    find,
    id_of,
    index,
    names,
    recipes,
    record,
    record_only,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)

ZIP = "all.zip"


def member(
    name: str, version: str = "1", parent: str = ZIP, parser: ParserKind | None = None
) -> NewDocument:
    path = f"{parent}!/{name}"
    return NewDocument(
        document_id=id_of(path),
        name=path,
        uri=f"file:///{path}",
        fetch=False,
        sha256=digest(path, version),
        object_key=f"objects/{digest(path, version)}",
        bytes=10,
        parent_id=id_of(parent),
        parser=parser,
    )


def publish(
    registry: Registry, claim: Claim, *members: NewDocument, force: bool = False
) -> list[TaskUpdate]:
    """Announce, and record, that the parent was published with these members."""
    (parent,) = claim.documents
    registry.publications.announce(
        claim.claim_id, [parent.document_id], [parent.document_id] if members else ()
    )
    result = done(parent, chunks=0)
    result.attached = Attached(members, force)
    return record(registry, claim, result)


def ingest(registry: Registry, *members: NewDocument, version: str = "1") -> str:
    """Submit the archive and publish it; its members wait then."""
    (task_id,) = submit(registry, ZIP, version=version)
    publish(registry, taken(registry, document_ids=(id_of(ZIP),)), *members)
    return task_id


def test_the_task_ends_when_all_that_is_attached_is_done(registry: Registry) -> None:
    task_id = ingest(registry, member("a.txt"), member("b.txt"))

    assert task_state(registry, task_id) is TaskState.RUNNING
    assert state(registry, ZIP) is DocumentState.INDEXED
    assert sorted(work_off(registry)) == [f"{ZIP}!/a.txt", f"{ZIP}!/b.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED


def test_attachments_name_their_parent_and_are_as_urgent(registry: Registry) -> None:
    submit(registry, ZIP, priority=Priority.HIGH)

    publish(registry, taken(registry), member("a.txt", parser=ParserKind.LAWS))

    found = find(registry, f"{ZIP}!/a.txt")
    assert (found.parent_id, found.parser) == (id_of(ZIP), ParserKind.LAWS)
    assert column(registry, f"{ZIP}!/a.txt", "priority") == Priority.HIGH.rank


def test_one_bad_attachment_does_not_fail_the_task(registry: Registry) -> None:
    task_id = ingest(registry, member("a.txt"), member("b.txt"))

    claim = taken(registry)
    record(registry, claim, *(_done_but_b(claim)))

    task = registry.tasks.get(task_id)
    assert task.state is TaskState.SUCCEEDED
    assert "1 of 3 documents failed" in task.messages[-1]


def _done_but_b(claim: Claim) -> list[DocumentResult]:
    return [
        failed(document) if document.name.endswith("b.txt") else done(document)
        for document in claim.documents
    ]


def test_a_new_version_takes_away_what_it_has_no_more_and_asks_for_what_changed(
    registry: Registry,
) -> None:
    ingest(registry, member("same.txt"), member("edited.txt"), member("gone.txt"))
    work_off(registry)

    ingest(registry, member("same.txt"), member("edited.txt", "2"), version="2")

    assert state(registry, f"{ZIP}!/gone.txt") is DocumentState.DELETED
    assert f"{ZIP}!/gone.txt" in doubts(registry)
    assert work_off(registry) == [f"{ZIP}!/edited.txt"]


def test_what_was_attached_at_another_time_comes_back(registry: Registry) -> None:
    ingest(registry, member("a.txt"))
    work_off(registry)
    ingest(registry, version="2")
    assert state(registry, f"{ZIP}!/a.txt") is DocumentState.DELETED

    ingest(registry, member("a.txt"), version="3")

    assert work_off(registry) == [f"{ZIP}!/a.txt"]
    assert state(registry, f"{ZIP}!/a.txt") is DocumentState.INDEXED


def test_by_force_all_attachments_are_processed_again(registry: Registry) -> None:
    ingest(registry, member("a.txt"))
    work_off(registry)

    submit(registry, ZIP, force=True)
    publish(registry, taken(registry), member("a.txt"), force=True)

    again = taken(registry)
    assert [document.force for document in again.documents] == [True]


def test_what_is_processed_beside_its_archive_is_not_asked_for_once_more(
    registry: Registry,
) -> None:
    ingest(registry, member("a.txt"))
    work_off(registry)
    submit_reindex(registry, ReindexOnly.ALL)
    claim = taken(registry)
    assert sorted(names(claim)) == [ZIP, f"{ZIP}!/a.txt"]

    results = [done(each) for each in claim.documents]
    results[0].attached = Attached((member("a.txt"),), force=True)
    record(registry, claim, *results)

    assert results[0].document_id == id_of(ZIP)
    assert take(registry) is None


def test_another_parser_kind_is_a_change(registry: Registry) -> None:
    ingest(registry, member("a.txt"))
    work_off(registry)

    ingest(registry, member("a.txt", parser=ParserKind.BOOK), version="2")

    assert work_off(registry) == [f"{ZIP}!/a.txt"]


def test_deleting_a_document_deletes_what_is_attached_at_any_depth(registry: Registry) -> None:
    ingest(registry, member("inner.zip"))
    publish(registry, taken(registry), member("a.txt", parent=f"{ZIP}!/inner.zip"))
    work_off(registry)

    delete(registry, ZIP)

    for name in (ZIP, f"{ZIP}!/inner.zip", f"{ZIP}!/inner.zip!/a.txt"):
        assert state(registry, name) is DocumentState.DELETED


def test_a_claim_that_lost_the_document_attaches_nothing(registry: Registry) -> None:
    submit(registry, ZIP)
    claim = taken(registry)
    registry.claims.give_back_crashed([claim.run_id])

    publish_late = done(claim.documents[0])
    publish_late.attached = Attached((member("a.txt"),))
    record(registry, claim, publish_late)

    assert registry.documents.find(KEY, [id_of(f"{ZIP}!/a.txt")]) == []


@pytest.mark.parametrize("had", [False, True])
def test_a_publication_that_was_never_recorded_is_done_again_for_its_attachments(
    registry: Registry, had: bool
) -> None:
    """A run dies after the commit: the index has the archive, nobody knows what is in it."""
    if had:
        ingest(registry, member("a.txt"))
        work_off(registry)
    (task_id,) = submit(registry, ZIP, version="2")
    claim = taken(registry)
    (parent,) = claim.documents
    registry.publications.announce(
        claim.claim_id, [parent.document_id], () if had else [parent.document_id]
    )
    registry.tasks.cancel([task_id])
    registry.claims.give_back_crashed([claim.run_id])
    held = registry.publications.hold_doubtful(KEY, "settle", 60)
    assert held is not None
    adopted = Adopted(digest(ZIP, "2"), 0, recipes()[Stage.INDEXED], "fingerprint")

    registry.publications.settle(held, adopt={parent.document_id: adopted})

    assert names(taken(registry)) == [ZIP]


def test_a_second_task_waits_for_what_the_first_one_found(registry: Registry) -> None:
    ingest(registry, member("a.txt"))

    second = ingest(registry, member("a.txt"), version="2")

    assert task_state(registry, second) is TaskState.RUNNING
    work_off(registry)
    assert task_state(registry, second) is TaskState.SUCCEEDED


def test_nobody_is_asked_about_an_attachment(registry: Registry) -> None:
    task_id = ingest(registry, member("secret.pdf"))

    claim = taken(registry)
    record(registry, claim, asking(claim.documents[0]))

    assert task_state(registry, task_id) is TaskState.SUCCEEDED
    found = find(registry, f"{ZIP}!/secret.pdf")
    assert found.state is DocumentState.FAILED
    assert found.error is not None
    assert found.error.kind is ErrorKind.ENCRYPTED


def test_a_document_without_attachments_is_left_as_it_is(registry: Registry) -> None:
    index(registry, "plain.txt")
    submit(registry, "plain.txt", version="2")

    publish(registry, taken(registry))

    assert take(registry) is None


def test_a_document_of_another_kind_is_processed_again_although_its_bytes_are_the_same(
    registry: Registry,
) -> None:
    index(registry, "law.txt")

    submit(registry, "law.txt", parser=ParserKind.LAWS)

    (document,) = taken(registry).documents
    assert document.parser is ParserKind.LAWS
    assert document.document_id == document_id(KEY, "file:///law.txt")


def test_a_known_document_keeps_its_kind_unless_a_task_names_another(registry: Registry) -> None:
    index(registry, "law.txt", parser=ParserKind.LAWS)

    submit(registry, "law.txt", document=None, document_id=id_of("law.txt"), force=True)

    (document,) = taken(registry).documents
    assert document.parser is ParserKind.LAWS


def test_what_an_archive_drops_is_dropped_although_it_was_done_in_the_same_batch(
    registry: Registry,
) -> None:
    ingest(registry, member("inner.zip"))
    work_off(registry)
    clean = registry.collections.data_version(KEY, Stage.INDEXED)
    submit_reindex(registry, ReindexOnly.ALL)
    submit(registry, ZIP, version="2")
    claim = taken(registry)
    assert sorted(names(claim)) == [ZIP, f"{ZIP}!/inner.zip"]

    outer, inner = (done(each) for each in sorted(claim.documents, key=lambda each: each.name))
    outer.attached = Attached()
    inner.attached = Attached((member("a.txt", parent=f"{ZIP}!/inner.zip"),))
    _, lost = record_only(registry, claim, outer, inner)

    assert lost == [id_of(f"{ZIP}!/inner.zip")]
    assert [each.name for each in registry.documents.find(KEY)] == [ZIP]
    assert find(registry, f"{ZIP}!/inner.zip").stages == {}
    assert registry.collections.data_version(KEY, Stage.INDEXED) != clean
    assert registry.collections.data_version(KEY, Stage.SOURCED).startswith("1-")


def test_what_nobody_looked_at_stays_as_it_is(registry: Registry) -> None:
    ingest(registry, member("a.txt"))
    work_off(registry)
    submit_reindex(registry, ReindexOnly.ALL)
    claim = taken(registry, document_ids=(id_of(ZIP),))

    record_only(registry, claim, *map(done, claim.documents))

    assert sorted(each.name for each in registry.documents.find(KEY)) == [ZIP, f"{ZIP}!/a.txt"]
