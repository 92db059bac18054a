"""Builds by automation conditions: of whom, when, and never beside planning."""

from __future__ import annotations

import dagster as dg
import pytest

from ingestion_pipeline.defs.build import build_defs
from ingestion_pipeline.defs.partitions import PARTITIONS_NAME
from ingestion_pipeline.model.collections import CollectionConfig, CollectionName
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import ASSETS, opened

pytestmark = [  # what Dagster's own means of testing conditions use
    pytest.mark.filterwarnings("ignore::dagster.PreviewWarning"),
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning"),
]


class Automation:
    """The conditions, evaluated again and again as the sensor does."""

    def __init__(self, services: FakeServices, instance: dg.DagsterInstance) -> None:
        self.services = services
        self.instance = instance
        defs = build_defs(opened(services))
        (sensor,) = [each for each in defs.sensors or () if each.name == "automation_sensor"]
        assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
        condition = sensor.default_condition
        self.defs = defs.map_asset_specs(
            func=lambda spec: (
                spec.replace_attributes(automation_condition=condition)
                if spec.group_name == "knowledge"
                else spec
            )
        )
        self.cursor: object = None

    def collection(self, name: str, **options: object) -> None:
        config = CollectionConfig().updated(dict(options))
        self.services.registry.collections.create(CollectionName("default", name), config)
        self.instance.add_dynamic_partitions(PARTITIONS_NAME, [name])

    def index(self, name: str, version: str) -> None:
        for asset in ASSETS:
            tags = {"dagster/data_version": version}
            self.instance.report_runless_asset_event(
                dg.AssetMaterialization(asset, partition=name, tags=tags)
            )

    def build(self, name: str, asset: str = "raptor_summaries") -> None:
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=name))

    def tick(self) -> set[tuple[str, str]]:
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.instance,
            cursor=self.cursor,  # type: ignore[arg-type]
        )
        self.cursor = result.cursor
        return {
            (each.key.to_user_string(), key)
            for each in result.results
            for key in result.get_requested_partitions(each.key)
        }


@pytest.fixture
def automation(services: FakeServices, instance: dg.DagsterInstance) -> Automation:
    made = Automation(services, instance)
    assert made.tick() == set()  # the first look only shows what there is
    return made


def test_only_collections_that_ask_for_it_are_built_and_only_what_they_want(
    automation: Automation,
) -> None:
    automation.collection("asks", **{"automation": True, "raptor.enabled": True})
    automation.collection("planned", **{"raptor.enabled": True})
    automation.collection("wants-nothing", automation=True)
    for name in ("asks", "planned", "wants-nothing"):
        automation.index(name, "1")

    assert automation.tick() == {("raptor_summaries", "asks")}


def test_what_changed_is_built_again_and_what_ran_without_a_change_is_not(
    automation: Automation,
) -> None:
    automation.collection("asks", **{"automation": True, "raptor.enabled": True})
    automation.index("asks", "1")
    assert automation.tick()
    automation.build("asks")
    assert automation.tick() == set()

    automation.index("asks", "1")
    assert automation.tick() == set()

    automation.index("asks", "2")
    assert automation.tick() == {("raptor_summaries", "asks")}


def test_the_parts_of_a_graph_are_asked_for_together(automation: Automation) -> None:
    automation.collection("asks", **{"automation": True, "graph.enabled": True})
    automation.index("asks", "1")

    assert ("document_graphs", "asks") in automation.tick()
