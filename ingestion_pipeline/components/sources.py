"""Sources that collections follow: folders, buckets of S3 and web sites, each with a sensor."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated

import dagster as dg
from pydantic import Field, model_validator

from ingestion_pipeline.components.scaffolding import scaffolded
from ingestion_pipeline.model.collections import DEFAULT_TENANT, CollectionName
from ingestion_pipeline.resources.services import ServicesResource
from ingestion_pipeline.settings import project_dir
from ingestion_pipeline.storage.bucket_listing import BucketLister
from ingestion_pipeline.storage.folder_listing import FolderLister
from ingestion_pipeline.storage.listing import (
    BUDGET_SECONDS,
    LEFT_OVER,
    Lister,
    Patterns,
    Source,
    Vanished,
)
from ingestion_pipeline.storage.web_listing import WebLister

TICK_SECONDS = 10
"""How often the sensor of a source is asked, so that a look that was cut short goes on soon."""
WEB_BUDGET_SECONDS = 15.0
"""Web pages are asked for with pauses, so their looks may take longer."""


class SourceComponent(dg.Component, dg.Model, dg.Resolvable, ABC):
    """What all sources have in common."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9][a-z0-9_]{0,62}$",
            description="What the source is called for ever: what was seen is known by this name.",
        ),
    ]
    collection: Annotated[str, Field(description="The collection that follows it.")]
    tenant: Annotated[str, Field(description="Whose collection that is.")] = DEFAULT_TENANT
    include: Annotated[
        Sequence[str],
        Field(
            description="Which files are wanted; none named means all. `*` and `?` stay within a "
            "name, `**` crosses folders; a pattern without `/` is about names at any depth."
        ),
    ] = ()
    exclude: Annotated[
        Sequence[str],
        Field(description="Which files and folders are not; by default what programs leave over."),
    ] = LEFT_OVER
    hidden: Annotated[
        bool, Field(description="Whether names that begin with a dot are wanted too.")
    ] = False
    vanished: Annotated[
        Vanished,
        Field(description="What becomes of the document of a file that is gone: delete or keep."),
    ] = Vanished.DELETE
    max_vanished: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="The share of all files that may vanish at once; more is held back until "
            "`ingest sources confirm NAME`. 1 turns that off.",
        ),
    ] = 0.2
    every_seconds: Annotated[
        int, Field(ge=5, description="How long after a look began the next one does.")
    ] = 10
    active: Annotated[
        bool, Field(description="Whether the sensor runs unless it is switched on in Dagster.")
    ] = True

    @abstractmethod
    def source(self) -> Source:
        """Return the source that is declared."""

    def patterns(self) -> Patterns:
        """Return which of its files are wanted."""
        return Patterns(tuple(self.include), tuple(self.exclude), self.hidden)

    def described(self, kind: str, address: str, lister: Lister, budget_seconds: float) -> Source:
        """Return the source with what all kinds have in common."""
        return Source(
            name=self.name,
            collection=CollectionName(self.tenant, self.collection),
            kind=kind,
            address=address,
            lister=lister,
            vanished=self.vanished,
            max_vanished=self.max_vanished,
            budget_seconds=budget_seconds,
        )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002
        """Return the sensor."""
        return dg.Definitions(sensors=[_sensor(self.source(), self.every_seconds, self.active)])


@scaffolded(collection="handbook", folder="/srv/handbook", include=["*.pdf", "*.docx", "*.md"])
class FolderSource(SourceComponent):
    """A folder that a collection follows: new, changed and vanished files become tasks.

    The folder must be below one of INGEST_SOURCE_ROOTS. Links do not lead out of it.
    """

    folder: Annotated[
        str, Field(description="Where the files are; a relative path begins at the project.")
    ]
    recursive: Annotated[bool, Field(description="Whether folders below count too.")] = True

    def source(self) -> Source:
        """Return the source that is declared."""
        folder = project_dir() / self.folder
        lister = FolderLister(folder, self.patterns(), self.recursive)
        return self.described("folder", str(folder), lister, BUDGET_SECONDS)


@scaffolded(collection="handbook", bucket="my-bucket", prefix="handbook/")
class S3Source(SourceComponent):
    """Objects in a bucket that a collection follows: new, changed and vanished ones become tasks.

    Credentials and endpoint are those of the environment, or of the resource `services`.
    """

    bucket: Annotated[str, Field(description="The bucket.")]
    prefix: Annotated[str, Field(description="What the keys begin with.")] = ""
    recursive: Annotated[
        bool, Field(description="Whether keys count that have a `/` behind the prefix.")
    ] = True
    every_seconds: Annotated[
        int, Field(ge=5, description="How long after a look began the next one does.")
    ] = 60

    def source(self) -> Source:
        """Return the source that is declared."""
        lister = BucketLister(self.bucket, self.prefix, self.patterns(), self.recursive)
        return self.described("s3", f"s3://{self.bucket}/{self.prefix}", lister, BUDGET_SECONDS)


@scaffolded(collection="handbook", sitemap="https://example.org/sitemap.xml")
class HttpSource(SourceComponent):
    """Web pages that a collection follows: those of a sitemap, or a list of addresses."""

    sitemap: Annotated[
        str | None, Field(description="A sitemap, or an index of sitemaps; compressed ones too.")
    ] = None
    addresses: Annotated[Sequence[str], Field(description="Pages by their addresses.")] = ()
    pause_seconds: Annotated[
        float, Field(ge=0, description="How long to wait before each page but the first.")
    ] = 1.0
    every_seconds: Annotated[
        int, Field(ge=5, description="How long after a look began the next one does.")
    ] = 3600

    @model_validator(mode="after")
    def _leads_somewhere(self) -> HttpSource:
        if not (self.sitemap or self.addresses):
            raise ValueError("name a sitemap, or addresses")
        return self

    def source(self) -> Source:
        """Return the source that is declared."""
        lister = WebLister(self.sitemap, tuple(self.addresses), self.patterns(), self.pause_seconds)
        address = self.sitemap or f"{len(self.addresses)} addresses"
        return self.described("http", address, lister, WEB_BUDGET_SECONDS)


def _sensor(source: Source, every_seconds: int, active: bool) -> dg.SensorDefinition:
    status = dg.DefaultSensorStatus

    @dg.sensor(
        name=f"{source.name}_source_sensor",
        minimum_interval_seconds=min(TICK_SECONDS, every_seconds),
        default_status=status.RUNNING if active else status.STOPPED,
        description=f"Hands over what is new, changed or gone in {source.address} to the "
        f"collection {source.collection.key}.",
    )
    def follow_source(
        context: dg.SensorEvaluationContext, services: ServicesResource
    ) -> dg.SkipReason:
        """Look, or go on with a look that was cut short; runs are another sensor's to plan."""
        from ingestion_pipeline.tasks.following import follow

        began, _, position = (context.cursor or "0").partition(" ")
        waits = float(began) + every_seconds - time.time()
        if not position:
            if waits > 0:
                return dg.SkipReason(f"the next look begins in {waits:.0f} s")
            began = f"{time.time():.0f}"
        followed = follow(services.get(), source, position)
        context.update_cursor(f"{began} {followed.position}")
        if followed.held or followed.unknown:
            context.log.warning(followed.summary)
        return dg.SkipReason(followed.summary)

    return follow_source
