from __future__ import annotations

from typing import Any

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline.model.documents import STAGES, DocumentState, Stage
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    digest,
    done,
    failed,
    id_of,
    record,
    record_only,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    work_off,
)


def versions(registry: Registry) -> dict[Stage, str]:
    return {stage: registry.collections.data_version(KEY, stage) for stage in STAGES}


def test_a_collection_is_created_once(registry: Registry) -> None:
    name = CollectionName("default", "new")

    assert registry.collections.ensure(name) == (registry.collections.get("new"), True)
    assert registry.collections.ensure(name) == (registry.collections.get("new"), False)
    assert [each.key for each in registry.collections.all()] == ["docs", "new"]


def test_a_collection_that_exists_is_not_created_again(registry: Registry) -> None:
    with pytest.raises(PermanentError, match="exists") as raised:
        registry.collections.create(CollectionName("default", KEY), CollectionConfig())

    assert raised.value.kind is ErrorKind.INVALID_OPTION


def test_collections_of_two_tenants_may_have_one_name(registry: Registry) -> None:
    theirs = registry.collections.create(
        CollectionName("acme", KEY), CollectionConfig(title_weight=0)
    )

    assert theirs.key == "acme/docs"
    assert registry.collections.get(KEY).config.title_weight == 0.1
    assert registry.collections.get("acme/docs").config.title_weight == 0


def test_an_unknown_collection_is_an_error_that_says_what_to_do(registry: Registry) -> None:
    with pytest.raises(PermanentError, match="ingest collections create nowhere") as raised:
        registry.collections.get("nowhere")

    assert raised.value.kind is ErrorKind.NOT_FOUND


def test_an_unknown_collection_cannot_be_configured(registry: Registry) -> None:
    with pytest.raises(PermanentError) as raised:
        registry.collections.configure("nowhere", {"title_weight": 0})

    assert raised.value.kind is ErrorKind.NOT_FOUND


def test_configuration_is_changed_option_by_option_and_back_to_the_default(
    registry: Registry,
) -> None:
    registry.collections.configure(KEY, {"chunk_tokens": 100})
    changed = registry.collections.configure(KEY, {"title_weight": "0.5"}).config
    assert (changed.chunk_tokens, changed.title_weight) == (100, 0.5)

    again = registry.collections.configure(KEY, {"chunk_tokens": None}).config
    assert (again.chunk_tokens, again.title_weight) == (None, 0.5)
    assert again.model_fields_set == {"title_weight"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chunk_token": 100}, "did you mean 'chunk_tokens'"),
        ({"overlap": 1}, "did you mean 'chunk_overlap'"),
        ({"TITLE-WEIGHT": 1}, "did you mean '"),
        ({"chunk_tokens": 1}, "'chunk_tokens'"),
        ({"title_weight": "heavy"}, "'title_weight'"),
        ({"title_weight": float("nan")}, "'title_weight'"),
        ({"embedding_model": ""}, "'embedding_model'"),
        ({"max_parallel_runs": 0}, "'max_parallel_runs'"),
    ],
)
def test_configuration_that_cannot_be_is_refused_and_changes_nothing(
    registry: Registry, changes: dict[str, Any], said: str
) -> None:
    before = registry.collections.get(KEY)

    with pytest.raises(PermanentError, match=said) as raised:
        registry.collections.configure(KEY, changes)

    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert "\n" not in raised.value.message
    assert registry.collections.get(KEY) == before


def test_deleting_a_collection_takes_all_but_its_tasks_with_it(registry: Registry) -> None:
    (done_before,) = submit(registry, "a.txt")
    work_off(registry)
    (running,) = submit(registry, "b.txt")
    taken(registry)

    (update,) = registry.collections.delete(CollectionName("default", KEY))

    assert registry.collections.all() == []
    assert registry.documents.find(KEY) == []
    assert registry.claims.live_runs() == {}
    assert update.task_id == running
    assert registry.tasks.get(done_before).state is TaskState.SUCCEEDED
    assert registry.tasks.get(running).state is TaskState.FAILED
    assert registry.tasks.get(running).messages[-1].endswith("'docs' was deleted")


def test_a_run_whose_collection_was_deleted_records_nothing(registry: Registry) -> None:
    submit(registry, "a.txt")
    claim = taken(registry)
    registry.collections.delete(CollectionName("default", KEY))

    assert record_only(registry, claim, done(claim.documents[0])) == ([], [id_of("a.txt")])
    registry.claims.release(claim.claim_id)


def test_the_data_version_of_a_collection_without_results_counts_nothing(
    registry: Registry,
) -> None:
    assert len(set(versions(registry).values())) == 1
    assert versions(registry)[Stage.PARSED].startswith("0-")


def test_a_run_that_changes_nothing_changes_no_data_version(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt")
    work_off(registry)
    before = versions(registry)

    submit_reindex(registry)
    assert work_off(registry) == ["a.txt", "b.txt"]

    assert versions(registry) == before


def test_data_versions_do_not_depend_on_the_order_of_work(registry: Registry) -> None:
    submit(registry, "a.txt", "b.txt", "c.txt")
    work_off(registry)
    before = versions(registry)
    registry.collections.delete(CollectionName("default", KEY))
    registry.collections.ensure(CollectionName("default", KEY))

    for name in ("c.txt", "b.txt", "a.txt"):
        submit(registry, name)
        work_off(registry)

    assert versions(registry) == before


def test_another_version_of_a_document_changes_the_data_versions_and_back(
    registry: Registry,
) -> None:
    submit(registry, "a.txt", "b.txt")
    work_off(registry)
    before = versions(registry)

    submit(registry, "a.txt", version="2")
    work_off(registry)
    assert all(versions(registry)[stage] != before[stage] for stage in STAGES)
    assert all(version.startswith("2-") for version in versions(registry).values())

    submit(registry, "a.txt", version="1")
    work_off(registry)
    assert versions(registry) == before


def test_a_failed_document_keeps_what_it_had_in_the_data_versions(registry: Registry) -> None:
    submit(registry, "a.txt")
    work_off(registry)
    before = versions(registry)
    submit(registry, "a.txt", version="broken")
    claim = taken(registry)

    record(registry, claim, failed(claim.documents[0]))

    assert state(registry, "a.txt") is DocumentState.FAILED
    assert versions(registry) == before


def test_one_stage_alone_changes_its_own_data_version_only(registry: Registry) -> None:
    submit(registry, "a.txt")
    work_off(registry)
    before = versions(registry)
    registry.documents.force(KEY, [])
    claim = taken(registry, stages=(Stage.CHUNKED,))
    result = done(claim.documents[0], stages=(Stage.CHUNKED,))
    old = result.stages[Stage.CHUNKED]
    result.stages[Stage.CHUNKED] = type(old)(old.recipe, digest("another"))

    record(registry, claim, result)

    changed = [stage for stage in STAGES if versions(registry)[stage] != before[stage]]
    assert changed == [Stage.CHUNKED]
    assert take(registry) is None
