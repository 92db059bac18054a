"""Sources as users declare them: from YAML to what a tick of their sensors does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster.components.testing import create_defs_folder_sandbox

from ingestion_pipeline import components
from ingestion_pipeline.components import FolderSource, HttpSource, S3Source, sources
from ingestion_pipeline.errors import TransientError
from ingestion_pipeline.settings import Settings, project_dir
from ingestion_pipeline.storage.bucket_listing import BucketLister
from ingestion_pipeline.storage.folder_listing import FolderLister
from ingestion_pipeline.storage.listing import Vanished
from ingestion_pipeline.storage.web_listing import WebLister
from ingestion_pipeline_tests.fakes import FakeServices
from ingestion_pipeline_tests.pipeline.lab import opened

Load = Callable[..., tuple[dg.Component, dg.Definitions]]
SAMPLES = project_dir() / "data" / "definitions"

pytestmark = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # Dagster's own use


@pytest.fixture
def load() -> Iterator[Load]:
    """Load a component from a YAML file with some attributes, as Dagster does."""
    with create_defs_folder_sandbox() as sandbox:

        def load(kind: str, **attributes: Any) -> tuple[dg.Component, dg.Definitions]:
            path = sandbox.defs_folder_path / "declared"
            path.mkdir(exist_ok=True)
            declared = {"type": f"ingestion_pipeline.components.{kind}", "attributes": attributes}
            (path / "defs.yaml").write_text(yaml.safe_dump(declared))
            with sandbox.load_component_and_build_defs(defs_path="declared") as loaded:
                return loaded

        yield load


@pytest.mark.parametrize("kind", ["FolderSource", "S3Source", "HttpSource"])
def test_what_is_scaffolded_loads_as_it_is(kind: str) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=getattr(components, kind), defs_path="My-Files"
        )
        with sandbox.load_component_and_build_defs(defs_path="My-Files") as (_, defs):
            (sensor,) = defs.sensors or ()

    assert path.name == "My-Files"
    assert sensor.name == "my_files_source_sensor"


def test_a_folder_is_declared_by_its_attributes(load: Load) -> None:
    component, defs = load(
        "FolderSource",
        name="inbox",
        collection="handbook",
        tenant="acme",
        folder="data/inbox",
        include=["*.md"],
        exclude=["drafts"],
        hidden=True,
        recursive=False,
        vanished="keep",
        max_vanished=0.5,
        active=False,
    )

    assert isinstance(component, FolderSource)
    source = component.source()
    assert isinstance(source.lister, FolderLister)
    assert source.lister.folder == project_dir() / "data/inbox"
    assert not source.lister.recursive
    assert source.lister.patterns.takes(".notes.md")
    assert not source.lister.patterns.takes("drafts/a.md")
    assert (source.collection.key, source.vanished) == ("acme/handbook", Vanished.KEEP)
    assert source.max_vanished == 0.5
    (sensor,) = defs.sensors or ()
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.minimum_interval_seconds == 10


def test_a_bucket_is_declared_by_its_attributes(load: Load) -> None:
    component, _ = load("S3Source", name="files", collection="c", bucket="b", prefix="p/")

    assert isinstance(component, S3Source)
    source = component.source()
    assert isinstance(source.lister, BucketLister)
    assert (source.lister.bucket, source.lister.prefix) == ("b", "p/")
    assert source.address == "s3://b/p/"


def test_a_site_is_declared_by_a_sitemap_or_by_addresses(load: Load) -> None:
    component, _ = load(
        "HttpSource", name="site", collection="c", addresses=["https://example.org/a"]
    )

    assert isinstance(component, HttpSource)
    source = component.source()
    assert isinstance(source.lister, WebLister)
    assert source.lister.addresses == ("https://example.org/a",)
    assert source.lister.pause_seconds == 1.0
    assert component.every_seconds == 3600


@pytest.mark.parametrize(
    ("kind", "attributes", "said"),
    [
        ("FolderSource", {"folder": "/x", "includes": []}, "Extra inputs are not permitted"),
        ("FolderSource", {}, "Field required"),
        ("FolderSource", {"folder": "/x", "vanished": "archive"}, "'delete' or 'keep'"),
        ("FolderSource", {"folder": "/x", "name": "My Files"}, "should match pattern"),
        ("FolderSource", {"folder": "/x", "collection": "My Files"}, "not a valid name"),
        ("FolderSource", {"folder": "/x", "max_vanished": 2}, "less than or equal to 1"),
        ("HttpSource", {}, "name a sitemap, or addresses"),
    ],
)
def test_what_is_declared_wrongly_is_refused_with_the_reason(
    load: Load, kind: str, attributes: dict[str, Any], said: str
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the kinds differ
        load(kind, **{"name": "inbox", "collection": "handbook"} | attributes)

    reasons, error = "", caught.value
    while error is not None:
        reasons, error = reasons + str(error), error.__cause__  # type: ignore[assignment]
    assert said in reasons


@pytest.mark.parametrize(
    "path", sorted(SAMPLES.glob("*/defs.yaml")), ids=lambda each: each.parent.name
)
def test_each_worked_example_loads(load: Load, path: Path) -> None:
    declared = yaml.safe_load(path.read_text())

    _, defs = load(declared["type"].rpartition(".")[2], **declared["attributes"])

    assert defs.sensors


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"source_roots": (tmp_path,)})


class Followed:
    """The sensor of a folder, evaluated as the daemon does."""

    def __init__(self, services: FakeServices, folder: Path) -> None:
        source = FolderSource(name="inbox", collection="docs", folder=str(folder))
        self.services = opened(services)
        self.repository = dg.Definitions.merge(
            dg.build_defs_for_component(source),
            dg.Definitions(resources={"services": self.services}),
        ).get_repository_def()
        self.cursor: str | None = None

    def tick(self) -> str:
        with (
            dg.instance_for_test() as instance,
            dg.build_sensor_context(
                instance=instance,
                cursor=self.cursor,
                repository_def=self.repository,
                resources={"services": self.services},
            ) as context,
        ):
            tick = self.repository.get_sensor_def("inbox_source_sensor").evaluate_tick(context)
        self.cursor = tick.cursor
        assert tick.skip_message
        return tick.skip_message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "inbox"
    path.mkdir()
    for name in ("a.txt", "b.txt"):
        (path / name).write_text("Words.")
        then = time.time() - 60
        os.utime(path / name, (then, then))
    return path


def test_a_tick_hands_over_what_is_there_and_the_next_look_waits(
    services: FakeServices, folder: Path
) -> None:
    followed = Followed(services, folder)

    assert followed.tick() == "2 files known; 2 new or changed; 0 documents deleted"
    assert followed.tick().startswith("the next look begins in")
    assert len(services.registry.documents.find("docs")) == 2


def test_a_look_that_was_cut_short_goes_on_at_the_next_tick(
    services: FakeServices, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BUDGET_SECONDS", 0.0)
    followed = Followed(services, folder)

    assert "goes on at the next tick" in followed.tick()
    assert "1 new or changed" in followed.tick()


def test_a_tick_fails_when_the_folder_cannot_be_listed(
    services: FakeServices, tmp_path: Path
) -> None:
    with pytest.raises(TransientError, match="cannot be listed"):
        Followed(services, tmp_path / "nothing").tick()
