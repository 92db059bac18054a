from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingestion_pipeline.model.collections import Collection, CollectionConfig, CollectionName
from ingestion_pipeline.model.tasks import TaskType
from ingestion_pipeline.registry.builds import BuildRecord, Changed, WantedBuild
from ingestion_pipeline.registry.documents import Backlog
from ingestion_pipeline.tasks.planning import (
    BUILD_PRIORITY,
    HIGH_PRIORITY,
    RUNS_PER_TICK,
    SECONDS_PER_STEP,
    build_version,
    due,
    plan,
    plan_builds,
    stale_builds,
)


def waiting(key: str, *, tenant: str = "default", seconds: float = 1, priority: int = 0) -> Backlog:
    return Backlog(
        collection_key=key,
        tenant=tenant,
        documents=1,
        priority=priority,
        oldest_seconds=seconds,
        max_parallel_runs=1,
    )


def keys(
    backlog: list[Backlog], running: dict[str, int] | None = None, **options: int
) -> list[str]:
    counts = {(key, None): count for key, count in (running or {}).items()}
    return [planned.collection_key for planned in plan(backlog, counts, **options)]


def test_without_a_backlog_nothing_is_planned() -> None:
    assert plan([], {("docs", None): 3}) == []


def test_each_collection_with_work_gets_one_run() -> None:
    assert sorted(keys([waiting("a"), waiting("b")])) == ["a", "b"]


def test_a_collection_whose_runs_are_enough_gets_no_other() -> None:
    assert keys([waiting("a"), waiting("b")], {"a": 1}) == ["b"]


def test_a_collection_may_allow_more_runs_at_once() -> None:
    several = replace(waiting("a"), max_parallel_runs=3)

    assert keys([several], {"a": 2}) == ["a"]
    assert keys([several], {"a": 3}) == []


def test_urgent_work_goes_first_with_a_higher_priority() -> None:
    urgent, normal = plan([waiting("normal", seconds=20), waiting("urgent", priority=1)], {})

    assert (urgent.collection_key, urgent.priority) == ("urgent", HIGH_PRIORITY)
    assert (normal.collection_key, normal.priority) == ("normal", 0)


def test_the_longest_waiting_goes_first() -> None:
    assert keys([waiting("young", seconds=1), waiting("old", seconds=2)]) == ["old", "young"]


def test_waiting_raises_the_priority_up_to_that_of_urgent_work() -> None:
    ages = [0, 1 * SECONDS_PER_STEP, 3 * SECONDS_PER_STEP, 10_000 * SECONDS_PER_STEP]
    planned = plan([waiting(f"{age:g}", seconds=age) for age in ages], {})

    assert [each.priority for each in reversed(planned)] == [0, 1, 3, HIGH_PRIORITY]


def test_tenants_take_turns() -> None:
    backlog = [waiting(f"big/{n}", tenant="big", seconds=20 - n) for n in range(3)]
    backlog.append(waiting("small/0", tenant="small", seconds=1))

    assert keys(backlog) == ["big/0", "small/0", "big/1", "big/2"]


def test_of_many_the_limit_takes_the_first() -> None:
    backlog = [waiting(f"{number:03}", seconds=29 - number / 10) for number in range(100)]

    assert len(keys(backlog)) == RUNS_PER_TICK
    assert keys(backlog, limit=2) == ["000", "001"]


def test_the_documents_of_a_pipeline_get_a_run_beside_that_of_their_collection() -> None:
    backlog = [replace(waiting("docs"), pipeline=name) for name in (None, "notes", "forms")]

    planned = plan(backlog, {("docs", "forms"): 1})

    assert {each.pipeline for each in planned} == {None, "notes"}


backlogs = st.lists(
    st.builds(
        waiting,
        st.text("abc", min_size=1, max_size=3),
        tenant=st.sampled_from(["x", "y", "z"]),
        seconds=st.floats(0, 1e6),
        priority=st.sampled_from([0, 1]),
    ),
    unique_by=lambda each: each.collection_key,
)


@given(backlogs, st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(0, 2)))
def test_a_plan_names_collections_once_by_falling_priority_and_leaves_none_out(
    backlog: list[Backlog], running: dict[str, int]
) -> None:
    counts = {(key, None): count for key, count in running.items()}
    planned = plan(backlog, counts, limit=len(backlog))

    free = {each.collection_key for each in backlog if running.get(each.collection_key, 0) < 1}
    assert sorted(each.collection_key for each in planned) == sorted(free)
    priorities = [each.priority for each in planned]
    assert priorities == sorted(priorities, reverse=True)
    assert all(0 <= priority <= HIGH_PRIORITY for priority in priorities)


@given(backlogs)
def test_a_plan_does_not_depend_on_what_it_does_not_start(backlog: list[Backlog]) -> None:
    everything = plan(backlog, {}, limit=len(backlog))

    assert plan(backlog, {}, limit=2) == everything[:2]


def wanted(key: str, kind: TaskType = TaskType.RAPTOR, **changes: float) -> WantedBuild:
    return replace(WantedBuild(key, "default", kind, 0, 1.0), **changes)


def test_a_build_gives_way_to_documents_unless_it_is_urgent() -> None:
    urgent, other = plan_builds([wanted("a"), wanted("b", priority=1)], set())

    assert (urgent.collection_key, urgent.priority) == ("b", HIGH_PRIORITY)
    assert (other.collection_key, other.priority) == ("a", BUILD_PRIORITY)


def test_a_build_that_is_about_to_start_is_not_planned_again() -> None:
    both = [wanted("a"), wanted("a", TaskType.MINDMAP)]

    (planned,) = plan_builds(both, {("a", TaskType.RAPTOR)})

    assert planned.kind is TaskType.MINDMAP


def test_builds_that_wait_longest_go_first_and_only_some_at_a_time() -> None:
    many = [wanted(f"c{number:02}", oldest_seconds=float(number)) for number in range(40)]

    planned = plan_builds(many, set())

    assert len(planned) == RUNS_PER_TICK
    assert planned[0].collection_key == "c39"


def collection(**options: object) -> Collection:
    config = CollectionConfig().updated({key.replace("__", "."): options[key] for key in options})
    return Collection(CollectionName("default", "docs"), config, 0.0)


def changed(records: dict[TaskType, BuildRecord] | None = None, **options: object) -> Changed:
    return Changed(collection(**options), "7-abc", 1000.0, records or {})


def built(version: str | None, planned_for: str | None = None) -> BuildRecord:
    return BuildRecord(None, planned_for, version, 1.0)


def test_nothing_is_due_that_nobody_switched_on() -> None:
    assert due(changed(), busy=False) == {}


def test_what_is_switched_on_is_due_once_the_collection_is_quiet() -> None:
    now = changed(raptor__enabled=True)

    (kind,) = due(now, busy=False)

    assert kind is TaskType.RAPTOR
    assert due(now, busy=True) == {}
    assert due(replace(now, quiet_seconds=299.0), busy=False) == {}
    soon = changed(raptor__enabled=True, quiet_seconds=5)
    assert due(replace(soon, quiet_seconds=6.0), busy=False)


def test_what_automation_conditions_build_is_never_planned_too() -> None:
    of_old = BuildRecord(None, None, "6-abc", 1.0)
    options = {"raptor.enabled": True, "automation": True}
    built = changed({TaskType.RAPTOR: of_old, TaskType.GRAPHRAG: of_old}, **options)

    assert due(built, busy=False) == {}
    assert list(stale_builds(built)) == [TaskType.GRAPHRAG], "built by hand once"


def test_what_was_built_or_asked_for_is_due_again_only_when_something_changed() -> None:
    version = due(changed(raptor__enabled=True), busy=False)[TaskType.RAPTOR]

    for record in (built(version), built(None, planned_for=version)):
        assert due(changed({TaskType.RAPTOR: record}, raptor__enabled=True), busy=False) == {}
    of_before = changed({TaskType.RAPTOR: built(version)}, raptor__enabled=True)
    assert due(replace(of_before, version="8-abd"), busy=False)
    other = changed({TaskType.RAPTOR: built(version)}, raptor__enabled=True, raptor__seed=1)
    assert due(other, busy=False)


def test_a_map_waits_for_the_tree_where_both_are_switched_on() -> None:
    options: dict[str, object] = {"raptor__enabled": True, "mindmap__enabled": True}
    assert set(due(changed(**options), busy=False)) == {TaskType.RAPTOR}
    tree = build_version("7-abc", collection(**options).config, TaskType.RAPTOR)

    after = changed({TaskType.RAPTOR: built(tree)}, **options)

    assert set(due(after, busy=False)) == {TaskType.MINDMAP}
    assert set(due(changed(mindmap__enabled=True), busy=False)) == {TaskType.MINDMAP}


def test_at_night_only_what_was_built_once_is_built_again() -> None:
    assert stale_builds(changed(raptor__enabled=True)) == {}
    asked_for = {TaskType.RAPTOR: built(None, planned_for="v")}
    assert stale_builds(changed(asked_for)) == {}
    version = build_version("7-abc", CollectionConfig(), TaskType.RAPTOR)

    assert stale_builds(changed({TaskType.RAPTOR: built("older")})) == {TaskType.RAPTOR: version}
    assert stale_builds(changed({TaskType.RAPTOR: built(version)})) == {}
