"""The component by itself: its schema, its definitions, and the runs that the sensor asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ingestion_pipeline.components import Dataflow
from ingestion_pipeline.dataflow.forms import BUILT_IN
from ingestion_pipeline.dataflow.reading import read_pipeline
from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.dataflow.assets import pipeline_defs
from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.collections import CollectionName
from ingestion_pipeline.model.tasks import Priority
from ingestion_pipeline.tasks import tick as tick_module
from ingestion_pipeline.tasks.submission import submit
from ingestion_pipeline_tests.dataflow.test_reading import GOOD, written
from ingestion_pipeline_tests.defs.test_sensor import Sensor
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened


def test_the_schema_names_every_component_and_its_settings() -> None:
    schema = json.dumps(Dataflow.get_model_cls().model_json_schema())

    assert all(f'"{name}"' in schema for name in BUILT_IN)
    assert all(f'"{field}"' in schema for each in BUILT_IN.values() for field in each.model_fields)


def test_a_pipeline_is_an_asset_with_an_op_for_each_component(tmp_path: Path) -> None:
    pipeline = read_pipeline(written(tmp_path, GOOD))

    (asset,) = Dataflow(pipeline).build_defs(dg.ComponentTree.for_test().load_context).assets or ()

    assert isinstance(asset, dg.AssetsDefinition)
    assert asset.key == dg.AssetKey(["dataflow", "notes"])
    graph = asset.node_def
    assert isinstance(graph, dg.GraphDefinition)
    assert [node.name for node in graph.nodes_in_topological_order][:3] == [
        "file",
        "parser",
        "splitter",
    ]
    assert set(graph.node_named("indexer").definition.input_dict) == {
        "embedder",
        "enricher",
        "forms",
    }


class TestSensor:
    @pytest.fixture
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with dg.instance_for_test() as instance:
            yield instance

    @pytest.fixture
    def sensor(
        self,
        services: FakeServices,
        instance: dg.DagsterInstance,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Sensor:
        monkeypatch.setattr(tick_module, "IDLE_POLL_SECONDS", 0)
        monkeypatch.setattr(tick_module, "BUSY_POLL_SECONDS", 0)
        pipeline = read_pipeline(written(tmp_path, GOOD))
        services.__dict__["pipelines"] = {"notes": pipeline}
        own = pipeline_defs(pipeline)
        defs = dg.Definitions.merge(
            build_defs(opened(services), pipeline_jobs=list(own.jobs or ())), own
        )
        return Sensor(services, defs.get_repository_def(), instance)

    def test_each_way_gets_a_run_of_its_own_job(
        self, sensor: Sensor, services: FakeServices, tmp_path: Path
    ) -> None:
        known, _ = services.registry.collections.ensure(CollectionName("default", "papers"))
        for name, pipeline in (("a.txt", None), ("b.txt", "notes")):
            path = written(tmp_path, "Some words.\n", name)
            submit(services, known, [path], Priority.NORMAL, {}, pipeline)

        requests, _ = sensor.tick()

        assert {each.job_name for each in requests} == {"ingest_job", "notes_job"}
        assert {each.partition_key for each in requests} == {"papers"}

    def test_documents_of_a_pipeline_that_is_gone_wait_and_later_tasks_say_so(
        self, sensor: Sensor, services: FakeServices, tmp_path: Path
    ) -> None:
        known, _ = services.registry.collections.ensure(CollectionName("default", "papers"))
        path = written(tmp_path, "Some words.\n", "b.txt")
        submit(services, known, [path], Priority.NORMAL, {}, "notes")
        services.__dict__["pipelines"] = {}

        requests, _ = sensor.tick()
        late = submit(services, known, [path], Priority.NORMAL, {})

        assert requests == []
        (task,) = services.registry.tasks.find(task_ids=late.task_ids)
        assert task.error is not None
        assert "belongs to the pipeline 'notes', which there is no more" in task.error.message


def test_a_submission_to_an_unknown_pipeline_is_refused(services: FakeServices) -> None:
    known, _ = services.registry.collections.ensure(CollectionName("default", "papers"))
    services.__dict__["pipelines"] = {}

    with pytest.raises(PermanentError, match="there is no pipeline 'nots'; there are: none"):
        submit(services, known, [], Priority.NORMAL, {}, "nots")
