"""Tasks that ask a person about their document."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import Ask, ErrorKind, PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import answers
from ingestion_pipeline_tests.registry.steps import (
    INPUT_TIMEOUT_SECONDS,
    KEY,
    TASK_TIMEOUT_SECONDS,
    ask,
    asking,
    crash,
    delete,
    done,
    failed,
    find,
    id_of,
    index,
    let_deadline_pass,
    names,
    record,
    state,
    submit,
    submit_reindex,
    take,
    taken,
    task_state,
    work_off,
)


def kept_answers(registry: Registry) -> list[str]:
    with registry.database.read() as connection:
        return list(connection.scalars(sa.select(answers.c.sealed)))


def let_expire(registry: Registry, task_id: str) -> None:
    let_deadline_pass(registry, task_id)
    registry.tasks.expire()


@pytest.mark.parametrize("asks", Ask)
def test_a_task_that_asks_holds_nothing_until_it_is_answered(registry: Registry, asks: Ask) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)

    (update,) = record(registry, claim, asking(claim.documents[0], asks))

    task = registry.tasks.get(task_id)
    assert (update.state, task.state) == (TaskState.INPUT, TaskState.INPUT)
    assert task.question is not None
    assert (task.question.asks, task.question.doubt.kind) == (asks, ErrorKind.ENCRYPTED)
    assert task.error is None
    assert (state(registry, "a.txt"), find(registry, "a.txt").error) == (DocumentState.INPUT, None)
    assert registry.claims.live_runs() == {}
    assert take(registry) is None
    assert registry.documents.backlog() == []


def test_the_deadline_becomes_the_answers_and_then_the_works_again(registry: Registry) -> None:
    (task_id,) = submit(registry, "a.txt")
    claim = taken(registry)
    started = registry.tasks.get(task_id)
    record(registry, claim, asking(claim.documents[0]))
    asked = registry.tasks.get(task_id)
    registry.tasks.answer(task_id, Ask.PASSWORD, "sealed")
    answered = registry.tasks.get(task_id)
    taken(registry)
    again = registry.tasks.get(task_id)

    assert started.started_at is not None
    assert asked.deadline == pytest.approx(started.started_at + INPUT_TIMEOUT_SECONDS, abs=10)
    assert answered.deadline is None, "waiting for a run costs no time"
    assert again.deadline == pytest.approx(started.started_at + TASK_TIMEOUT_SECONDS, abs=10)


def test_a_password_is_there_for_the_run_and_gone_when_it_was_used(registry: Registry) -> None:
    task_id = ask(registry, "a.txt")

    (update,) = registry.tasks.answer(task_id, Ask.PASSWORD, "sealed")

    assert update.state is TaskState.RUNNING
    assert registry.tasks.get(task_id).question is None
    assert registry.claims.answer(id_of("a.txt")) == "sealed"
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, task_id) is TaskState.SUCCEEDED
    assert kept_answers(registry) == []


def test_a_yes_confirms_the_version_that_was_asked_about_and_no_other(registry: Registry) -> None:
    task_id = ask(registry, "a.txt", Ask.GO_ON)

    registry.tasks.answer(task_id, Ask.GO_ON, "")

    (document,) = taken(registry).documents
    assert document.confirmed == document.sha256
    assert kept_answers(registry) == []
    submit(registry, "a.txt", version="2")
    document = find(registry, "a.txt")
    assert document.confirmed != document.sha256


def test_the_first_answer_wins(registry: Registry) -> None:
    task_id = ask(registry, "a.txt")
    registry.tasks.answer(task_id, Ask.PASSWORD, "first")

    with pytest.raises(PermanentError, match="asks nothing: it is running") as raised:
        registry.tasks.answer(task_id, Ask.PASSWORD, "second")
    assert raised.value.kind is ErrorKind.INVALID_OPTION
    with pytest.raises(PermanentError, match="asks nothing: it is running"):
        registry.tasks.decline(task_id)

    assert kept_answers(registry) == ["first"]


def test_another_kind_of_answer_is_an_error_and_changes_nothing(registry: Registry) -> None:
    task_id = ask(registry, "a.txt", Ask.PASSWORD)
    before = registry.tasks.get(task_id)

    with pytest.raises(PermanentError, match="asks for password") as raised:
        registry.tasks.answer(task_id, Ask.GO_ON, "")

    assert raised.value.kind is ErrorKind.INVALID_OPTION
    assert registry.tasks.get(task_id) == before
    assert state(registry, "a.txt") is DocumentState.INPUT


def test_an_answer_to_an_unknown_task_is_an_error(registry: Registry) -> None:
    with pytest.raises(PermanentError, match="'unheard-of'") as raised:
        registry.tasks.answer("unheard-of", Ask.PASSWORD, "sealed")

    assert raised.value.kind is ErrorKind.NOT_FOUND


def test_a_no_makes_the_doubt_the_error(registry: Registry) -> None:
    index(registry, "a.txt")
    (task_id,) = submit(registry, "a.txt", version="2")
    claim = taken(registry)
    result = asking(claim.documents[0], Ask.GO_ON)
    record(registry, claim, result)

    (update,) = registry.tasks.decline(task_id)

    task = registry.tasks.get(task_id)
    assert (update.state, task.state, task.error) == (
        TaskState.FAILED,
        TaskState.FAILED,
        result.error,
    )
    assert find(registry, "a.txt").error == result.error
    assert state(registry, "a.txt") is DocumentState.FAILED
    assert registry.documents.totals(KEY).documents == 1, "the published version stays"


def test_a_wrong_password_asks_again(registry: Registry) -> None:
    task_id = ask(registry, "a.txt")
    registry.tasks.answer(task_id, Ask.PASSWORD, "wrong")
    claim = taken(registry)

    record(registry, claim, asking(claim.documents[0]))

    assert task_state(registry, task_id) is TaskState.INPUT
    assert kept_answers(registry) == []
    registry.tasks.answer(task_id, Ask.PASSWORD, "right")
    assert kept_answers(registry) == ["right"]


def test_all_who_asked_for_the_document_are_asked_and_one_answer_is_enough(
    registry: Registry,
) -> None:
    tasks = [*submit(registry, "a.txt"), *submit(registry, "a.txt")]
    claim = taken(registry)
    record(registry, claim, asking(claim.documents[0]))
    assert {task_state(registry, each) for each in tasks} == {TaskState.INPUT}

    registry.tasks.answer(tasks[0], Ask.PASSWORD, "sealed")
    work_off(registry)

    assert {task_state(registry, each) for each in tasks} == {TaskState.SUCCEEDED}


def test_a_no_of_one_does_not_end_the_question_to_another(registry: Registry) -> None:
    first, second = *submit(registry, "a.txt"), *submit(registry, "a.txt")
    claim = taken(registry)
    record(registry, claim, asking(claim.documents[0]))

    registry.tasks.decline(first)

    assert task_state(registry, first) is TaskState.FAILED
    assert state(registry, "a.txt") is DocumentState.INPUT
    registry.tasks.answer(second, Ask.PASSWORD, "sealed")
    assert work_off(registry) == ["a.txt"]


def test_an_ingest_task_asks_while_a_reindex_of_the_same_document_goes_on_without_it(
    registry: Registry,
) -> None:
    index(registry, "a.txt", "b.txt")
    reindex = submit_reindex(registry)
    (ingest,) = submit(registry, "a.txt", version="2")
    claim = taken(registry)
    a, b = claim.documents

    record(registry, claim, asking(a), done(b))

    assert task_state(registry, ingest) is TaskState.INPUT
    task = registry.tasks.get(reindex)
    assert task.state is TaskState.SUCCEEDED
    assert "1 of 2 documents failed" in task.messages[-1]
    assert state(registry, "a.txt") is DocumentState.INPUT


def test_a_reindex_of_nothing_else_fails_and_says_where_the_question_is(registry: Registry) -> None:
    index(registry, "a.txt")
    reindex = submit_reindex(registry)
    submit(registry, "a.txt", version="2")
    claim = taken(registry)

    record(registry, claim, asking(claim.documents[0]))

    task = registry.tasks.get(reindex)
    assert task.state is TaskState.FAILED
    assert task.error is not None
    assert "ingest tasks --state input" in task.error.message


def test_where_nobody_can_be_asked_it_is_an_error(registry: Registry) -> None:
    index(registry, "a.txt")
    reindex = submit_reindex(registry)
    claim = taken(registry)
    result = asking(claim.documents[0])

    record(registry, claim, result)

    assert task_state(registry, reindex) is TaskState.FAILED
    assert (state(registry, "a.txt"), find(registry, "a.txt").error) == (
        DocumentState.FAILED,
        result.error,
    )


def test_nobody_is_asked_about_a_version_that_was_replaced_meanwhile(registry: Registry) -> None:
    (first,) = submit(registry, "a.txt")
    claim = taken(registry)
    (second,) = submit(registry, "a.txt", version="2")

    record(registry, claim, asking(claim.documents[0]))

    assert task_state(registry, first) is TaskState.FAILED
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, second) is TaskState.SUCCEEDED


def test_a_newer_version_ends_the_question(registry: Registry) -> None:
    asked = ask(registry, "a.txt")
    (newer,) = submit(registry, "a.txt", version="2")

    assert names(take(registry)) == ["a.txt"]

    task = registry.tasks.get(asked)
    assert (task.state, task.question) == (TaskState.RUNNING, None)
    assert task_state(registry, newer) is TaskState.RUNNING


@pytest.mark.parametrize("asks", Ask)
def test_an_answer_about_a_version_that_was_replaced_is_not_used(
    registry: Registry, asks: Ask
) -> None:
    asked = ask(registry, "a.txt", asks)
    submit(registry, "a.txt", version="2")

    registry.tasks.answer(asked, asks, "sealed")

    assert kept_answers(registry) == []
    assert find(registry, "a.txt").confirmed is None
    assert work_off(registry) == ["a.txt"]
    assert task_state(registry, asked) is TaskState.SUCCEEDED


@pytest.mark.parametrize(
    "happens",
    [
        lambda registry, task_id: registry.tasks.cancel([task_id]),
        lambda registry, task_id: delete(registry, "a.txt"),
        let_expire,
        lambda registry, task_id: [crash(registry) for _ in range(4)],
        lambda registry, task_id: record(
            registry, claim := taken(registry), failed(claim.documents[0])
        ),
        lambda registry, task_id: registry.collections.delete(CollectionName("default", KEY)),
    ],
    ids=["canceled", "deleted", "out of time", "quarantined", "failed", "collection deleted"],
)
def test_an_answer_is_erased_when_nobody_will_use_it(
    registry: Registry, happens: Callable[[Registry, str], object]
) -> None:
    task_id = ask(registry, "a.txt")
    registry.tasks.answer(task_id, Ask.PASSWORD, "sealed")

    happens(registry, task_id)

    assert kept_answers(registry) == []


@pytest.mark.parametrize("crashed", [True, False])
def test_an_answer_stays_while_it_may_still_be_used(registry: Registry, crashed: bool) -> None:
    task_id = ask(registry, "a.txt")
    registry.tasks.answer(task_id, Ask.PASSWORD, "sealed")

    if crashed:
        crash(registry)
    else:
        claim = taken(registry)
        record(registry, claim, failed(claim.documents[0], transient=True))

    assert registry.claims.answer(id_of("a.txt")) == "sealed"


def test_a_question_survives_deletion_of_another_document(registry: Registry) -> None:
    asked = ask(registry, "a.txt")
    index(registry, "b.txt")

    delete(registry, "b.txt")

    assert task_state(registry, asked) is TaskState.INPUT


def test_deleting_a_document_that_is_asked_about_cancels_the_task(registry: Registry) -> None:
    asked = ask(registry, "a.txt")

    delete(registry, "a.txt")

    task = registry.tasks.get(asked)
    assert (task.state, task.question) == (TaskState.CANCELED, None)
