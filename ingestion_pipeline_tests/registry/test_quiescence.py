"""Random sequences of everything that can happen, on a registry beside a pretended index."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from random import Random

import pytest
import sqlalchemy as sa

from ingestion_pipeline.errors import Ask
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.documents import DocumentState, Stage
from ingestion_pipeline.model.tasks import TaskState
from ingestion_pipeline.registry.claims import Claim
from ingestion_pipeline.registry.registry import Registry
from ingestion_pipeline.registry.schema import answers, claims, publications
from ingestion_pipeline_tests.registry.steps import (
    KEY,
    TABLE,
    asking,
    delete,
    digest,
    done,
    failed,
    let_deadline_pass,
    let_retries_be_due,
    record,
    submit,
    submit_reindex,
    take,
)

NAMES = [f"{number}.txt" for number in range(5)]
VERSIONS = "012"
STEPS = 60


class World:
    """A registry, an index of (version, chunks) by document, and a run for each batch."""

    def __init__(self, registry: Registry, chance: Random) -> None:
        self.registry = registry
        self.chance = chance
        self.index: dict[str, tuple[str, int]] = {}
        self._runs = 0

    def submit(self) -> None:
        submit(self.registry, self.chance.choice(NAMES), version=self.chance.choice(VERSIONS))

    def reindex(self) -> None:
        submit_reindex(self.registry)

    def delete(self) -> None:
        delete(self.registry, self.chance.choice(NAMES))

    def cancel(self) -> None:
        self.registry.tasks.cancel([self._any_task()])

    def retry(self) -> None:
        self.registry.tasks.retry([self._any_task()])

    def expire(self) -> None:
        let_deadline_pass(self.registry, self._any_task())
        self.registry.tasks.expire()

    def reply(self) -> None:
        for task in self.registry.tasks.find(state=TaskState.INPUT, limit=1):
            if self.chance.random() < 0.5:
                self.registry.tasks.answer(task.task_id, Ask.PASSWORD, "sealed")
            else:
                self.registry.tasks.decline(task.task_id)

    def die(self) -> None:
        """A run dies with its batch, before or after its commit."""
        if claim := self._take():
            if self.chance.random() < 0.5:
                self._commit(claim)
            self.registry.claims.give_back_crashed([claim.run_id])

    def stop(self) -> None:
        """A person stops a run, before or after its commit."""
        if claim := self._take():
            if self.chance.random() < 0.5:
                self._commit(claim)
            self.registry.claims.cancel_runs([claim.run_id])

    def work(self) -> None:
        """A run works off a batch while other things happen."""
        if claim := self._take():
            for _ in range(self.chance.randrange(3)):
                self.chance.choice([self.submit, self.delete, self.cancel, self.expire])()
            asked = {each.document_id for each in claim.documents if self.chance.random() < 0.1}
            bad = {each.document_id for each in claim.documents if self.chance.random() < 0.2}
            committed = self._commit(claim, but=asked | bad)
            for _ in range(self.chance.randrange(2)):
                self.chance.choice([self.submit, self.delete, self.cancel, self.settle])()
            results = []
            for each in claim.documents:
                if each.document_id in asked:
                    results.append(asking(each))
                elif each.document_id in bad:
                    results.append(failed(each, transient=self.chance.random() < 0.5))
                elif each.document_id in committed:
                    results.append(done(each))
            record(self.registry, claim, *results)

    def settle(self) -> None:
        """Compare and repair as ``tasks.doubts`` does, while other things happen."""
        self._settle(meanwhile=self.chance.randrange(2))

    def come_to_rest(self) -> None:
        """Answer no to what is asked, and let runs and reconciliation do what is left."""
        for task in self.registry.tasks.find(state=TaskState.INPUT):
            self.registry.tasks.decline(task.task_id)
        for _ in range(3):  # what is published once more is compared once more
            with self.registry.database.write() as connection:
                connection.execute(publications.update().values(announced_at=1.0))
            while claim := self._take():
                self._commit(claim)
                record(self.registry, claim, *map(done, claim.documents))
            self._settle(meanwhile=0)

    def _settle(self, meanwhile: int) -> None:
        held = self.registry.publications.hold_doubtful(KEY, "settle", 60)
        if held is not None:
            recorded = self.registry.documents.published(KEY, TABLE, held.document_ids)
            there = {each: self.index.get(each) for each in held.document_ids}
            for _ in range(meanwhile):
                self.chance.choice([self.submit, self.delete, self.cancel])()
            for each in set(held.document_ids) - set(recorded):
                self.index.pop(each, None)
            differing = [each for each in recorded if there[each] != recorded[each]]
            agreeing = [each for each in held.document_ids if each not in differing]
            self.registry.publications.settle(held, agreeing=agreeing, republish=differing)
        for task in self.registry.tasks.deletions():
            self.registry.tasks.finish_deletion(task.task_id)

    def _take(self) -> Claim | None:
        let_retries_be_due(self.registry)
        self._runs += 1
        return take(self.registry, run_id=f"run-{self._runs}", max_documents=3)

    def _commit(self, claim: Claim, but: AbstractSet[str] = frozenset()) -> AbstractSet[str]:
        ids = {each.document_id for each in claim.documents} - but
        owned = self.registry.publications.announce(claim.claim_id, ids)
        for each in claim.documents:
            if each.document_id in owned:
                assert each.sha256 is not None
                self.index[each.document_id] = (each.sha256, 2)
        return owned

    def _any_task(self) -> str:
        found = self.registry.tasks.find(limit=6)
        return self.chance.choice(found).task_id if found else "unheard-of"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_index_and_registry_agree_in_the_end(
    registry: Registry, seed: int
) -> None:
    chance = Random(seed)
    world = World(registry, chance)
    happenings = [
        world.submit,
        world.submit,
        world.submit,
        world.reindex,
        world.delete,
        world.cancel,
        world.retry,
        world.expire,
        world.reply,
        world.die,
        world.stop,
        world.work,
        world.work,
        world.settle,
    ]
    canceled: set[str] = set()
    for _ in range(STEPS):
        chance.choice(happenings)()
        states = registry.tasks.states([task.task_id for task in registry.tasks.find()])
        assert all(states[task_id] is TaskState.CANCELED for task_id in canceled)
        canceled = {task_id for task_id, now in states.items() if now is TaskState.CANCELED}

    world.come_to_rest()

    published = registry.documents.published(KEY, TABLE)
    assert world.index == published
    assert all(task.state.final for task in registry.tasks.find())
    assert registry.claims.live_runs() == {}
    with registry.database.read() as connection:
        for table in (claims, publications, answers):
            assert connection.execute(sa.select(table)).all() == []
    for document in registry.documents.find(KEY):
        assert document.state in (DocumentState.INDEXED, DocumentState.FAILED)
        if document.state is DocumentState.INDEXED:
            assert published[document.document_id] == (document.sha256, 2)

    assert registry.documents.totals(KEY).documents == len(published)

    expected = registry.collections.data_version(KEY, Stage.INDEXED)
    _rebuild(registry, published)
    assert registry.collections.data_version(KEY, Stage.INDEXED) == expected


def _rebuild(registry: Registry, published: dict[str, tuple[str, int]]) -> None:
    """Make a registry that knows nothing but what is published."""
    names = {digest(name, version): (name, version) for name in NAMES for version in VERSIONS}
    collection = CollectionName("default", KEY)
    registry.collections.delete(collection)
    registry.collections.ensure(collection)
    for sha256, _ in published.values():
        name, version = names[sha256]
        submit(registry, name, version=version)
    while claim := take(registry):
        record(registry, claim, *map(done, claim.documents))
