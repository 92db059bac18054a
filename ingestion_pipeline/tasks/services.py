"""What tasks work with, opened from the settings when first needed.

Belongs here: putting the parts together, for runs, sensors, the client and the command line
alike. Does not belong here: decisions.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Collection, CollectionName
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

    from ingestion_pipeline.dataflow import Pipeline
    from ingestion_pipeline.dataflow.way import Way
    from ingestion_pipeline.embedding import Embedder
    from ingestion_pipeline.enrichment import TagModel
    from ingestion_pipeline.graph import Readers
    from ingestion_pipeline.indexing import CollectionIndex, TableCache
    from ingestion_pipeline.llm import ChatModel, Endpoint, Slots
    from ingestion_pipeline.model.chunks import Chunk
    from ingestion_pipeline.model.enrichment import TocEntry
    from ingestion_pipeline.parsing import ParserPool
    from ingestion_pipeline.registry.documents import Rerun
    from ingestion_pipeline.registry.registry import Registry
    from ingestion_pipeline.stages.graph_inputs import GraphInputs
    from ingestion_pipeline.stages.mapped import MapInputs
    from ingestion_pipeline.stages.summarised import TreeInputs
    from ingestion_pipeline.stages.work import Tools
    from ingestion_pipeline.storage.artifacts import ArtifactStore
    from ingestion_pipeline.storage.base import ObjectStore
    from ingestion_pipeline.storage.objects import SourceObjects
    from ingestion_pipeline.storage.sources import SourcePolicy
    from ingestion_pipeline.streams.connection import Absence
    from ingestion_pipeline.streams.events import EventStreams
    from ingestion_pipeline.streams.heartbeats import Heartbeats
    from ingestion_pipeline.streams.tasks import TaskStreams
    from ingestion_pipeline.streams.totals import Totals
    from ingestion_pipeline.tasks.sealing import Sealer


ANSWERS_OF_BUILDS = "builds"
"""In place of a document's id: where a language model's answers about a collection are kept. No
document has it, so maintenance removes them once they are old."""


def embedder_named(name: str, settings: Settings) -> Embedder:
    """Return an embedding model as the settings have it run, one per process."""
    from ingestion_pipeline.embedding import Running, load_embedder

    return load_embedder(
        name,
        Running(
            settings.embedding_runtime,
            settings.embedding_precision,
            settings.embedding_batch_tokens,
            settings.state / "embedding",
            settings.converted_models_dir,
        ),
    )


class Services:
    """Everything by its name; each part is opened on first use and kept."""

    def __init__(
        self,
        settings: Settings,
        s3_client: Callable[[], Any] | None = None,
        *,
        stay_warm: bool = False,
    ) -> None:
        """Open nothing yet.

        ``s3_client`` makes the clients that ``s3:`` sources are read with. With ``stay_warm``
        children that parse, or read for graphs, wait for the next run, as in a process that
        carries out many.
        """
        self.settings = settings
        self._s3_client = s3_client
        self._stay_warm = stay_warm

    @cached_property
    def registry(self) -> Registry:
        """The registry, its schema brought up to date."""
        from ingestion_pipeline.registry.registry import open_registry

        return open_registry(self.settings.database_address)

    @cached_property
    def redis(self) -> Redis:
        """The client of Redis; nothing is connected before the first call."""
        from ingestion_pipeline.streams.connection import connect

        return connect(self.settings.redis_address)

    @cached_property
    def streams(self) -> TaskStreams:
        """The task streams."""
        from ingestion_pipeline.streams.tasks import TaskStreams

        consumer = f"{socket.gethostname()}:{os.getpid()}"
        return TaskStreams(self.redis, consumer, self._absence)

    @cached_property
    def events(self) -> EventStreams:
        """The event streams."""
        from ingestion_pipeline.streams.events import EventStreams

        return EventStreams(self.redis, self._absence)

    @cached_property
    def totals(self) -> Totals:
        """What all processes have done so far."""
        from ingestion_pipeline.streams.totals import Totals

        return Totals(self.redis, self._absence)

    @cached_property
    def _absence(self) -> Absence:
        from ingestion_pipeline.streams.connection import Absence

        return Absence()

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """Who is at work."""
        from ingestion_pipeline.streams.heartbeats import Heartbeats

        return Heartbeats(self.redis)

    @cached_property
    def sealer(self) -> Sealer:
        """What encrypts people's answers until they are used."""
        from ingestion_pipeline.tasks.sealing import Sealer

        return Sealer(self.settings)

    @cached_property
    def store(self) -> ObjectStore:
        """Where objects and artifacts are."""
        from ingestion_pipeline.storage import open_store

        return open_store(self.settings.storage_address, self.settings.max_concurrent_storage)

    @cached_property
    def objects(self) -> SourceObjects:
        """Source bytes."""
        from ingestion_pipeline.storage.objects import SourceObjects

        return SourceObjects(self.store)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Stage outputs."""
        from ingestion_pipeline.storage.artifacts import ArtifactStore

        return ArtifactStore(self.store)

    @property
    def source_policy(self) -> SourcePolicy:
        """What may be fetched from outside."""
        from ingestion_pipeline.storage.sources import SourcePolicy

        return SourcePolicy(
            roots=self.settings.source_roots,
            max_bytes=self.settings.max_file_bytes,
            allow_private_addresses=self.settings.allow_private_addresses,
            own_folder=self.settings.state,
            own_buckets=self.settings.own_buckets,
            s3_client=self._s3_client,
        )

    @cached_property
    def parsers(self) -> ParserPool:
        """Parser children."""
        from ingestion_pipeline.parsing import ParserPool

        return ParserPool(
            self.settings.max_concurrent_chunk_builders,
            self.settings.parse_timeout_seconds,
            self.settings.parse_memory_bytes,
        )

    @cached_property
    def readers(self) -> Readers:
        """Children that read documents for graphs."""
        from ingestion_pipeline.graph import Readers

        return Readers(self.settings.max_concurrent_chunk_builders)

    def embedder(self, collection: Collection) -> Embedder:
        """Return the model that the collection is searched with, loaded once per process.

        It stays the same while the index of another one, configured meanwhile, is filled.
        """
        name = collection.searched_model or self.configured_model(collection)
        return embedder_named(name, self.settings)

    def configured_model(self, collection: Collection) -> str:
        """Return the name of the embedding model that a collection is to be searched with."""
        return collection.config.embedding_model or self.settings.embedding_model

    def index(self, collection: Collection) -> CollectionIndex:
        """Return the index that is searched: that of the collection's embedding model."""
        return self.index_of(collection, self.embedder(collection).fingerprint)

    def index_of(self, collection: Collection, fingerprint: str) -> CollectionIndex:
        """Return the collection's index for an embedding model, which is not loaded for that."""
        from ingestion_pipeline.indexing import CollectionIndex

        return CollectionIndex(
            self.settings.lancedb_address,
            collection.name.table,
            fingerprint,
            self.registry.database.alone,
            self._table_cache,
            timedelta(hours=self.settings.index_versions_hours),
        )

    @cached_property
    def _table_cache(self) -> TableCache:
        from ingestion_pipeline.indexing import TableCache

        return TableCache()

    def tree_inputs(self, collection: Collection) -> TreeInputs:
        """Return what the trees of a collection are built of now, and with."""
        from ingestion_pipeline.indexing import SummaryIndex
        from ingestion_pipeline.stages.summarised import TreeInputs

        index = self.index(collection)
        return TreeInputs(
            snapshot=index.snapshot(),
            summaries=SummaryIndex(index),
            config=collection.config.raptor,
            embedder=self.embedder(collection),
            llm=self._model_for_builds(collection),
        )

    def graph_inputs(self, collection: Collection) -> GraphInputs:
        """Return what the graph of a collection is built of now, and with."""
        from ingestion_pipeline.indexing.graphs import GraphIndex
        from ingestion_pipeline.stages.graph_inputs import GraphInputs
        from ingestion_pipeline.stages.recipes import vector_recipe

        index, embedder = self.index(collection), self.embedder(collection)
        return GraphInputs(
            snapshot=index.snapshot(),
            graphs=GraphIndex(index),
            artifacts=self.artifacts,
            collection=collection.name,
            config=collection.config.graph,
            embedder=embedder,
            corrections=self.registry.corrections.all(collection.key),
            llm=self._model_for_builds(collection),
            readers=self.readers if self._stay_warm else None,
            vectors=vector_recipe(collection.config, embedder),
        )

    def map_inputs(self, collection: Collection) -> MapInputs:
        """Return what the mind maps of a collection are drawn from now."""
        from ingestion_pipeline.indexing import SummaryIndex
        from ingestion_pipeline.stages.mapped import MapInputs

        index = self.index(collection)
        return MapInputs(
            index.snapshot(), SummaryIndex(index).snapshot(), partial(self._contents, collection)
        )

    def _contents(
        self, collection: Collection, document_id: str, chunks: Sequence[Chunk]
    ) -> Sequence[TocEntry]:
        """Return the table of contents of a document, or else the headings that were parsed."""
        from ingestion_pipeline.enrichment import contents

        stages = {}
        for document in self.registry.documents.find(collection.key, [document_id]):
            stages = document.stages
        if collection.config.enrichment.toc and Stage.ENRICHED in stages:
            made = self.artifacts.get_enrichment(
                collection.name, document_id, stages[Stage.ENRICHED]
            )
            if made and made.toc:
                return made.toc
        if Stage.PARSED in stages:
            parsed = self.artifacts.get_parsed(collection.name, document_id, stages[Stage.PARSED])
            return contents(parsed, chunks) if parsed else ()
        return ()

    def _model_for_builds(self, collection: Collection) -> ChatModel | None:
        """Return the language model, with what it answered before about a whole collection."""
        model = self._language_model()
        answers = self.artifacts.answers(collection.name, ANSWERS_OF_BUILDS)
        return model.with_cache(answers) if model else None

    def _language_model(self) -> ChatModel | None:
        """Return the language model, if one is configured, with a budget of its own."""
        from ingestion_pipeline.llm import Budget, ChatModel

        limit = self.settings.llm_token_budget
        budget = Budget(limit) if limit is not None else None
        endpoint = self.endpoint
        return ChatModel(endpoint, self.chat_slots, budget=budget) if endpoint else None

    def check_index(self) -> None:
        """Make sure that the place of the indexes can be read.

        Raises:
            TransientError: when it cannot.
        """
        from ingestion_pipeline.indexing import check_readable

        check_readable(self.settings.lancedb_address)

    @property
    def endpoint(self) -> Endpoint | None:
        """Where the language model is, if one is configured.

        Raises:
            PermanentError: of kind ``invalid_option`` if it is configured by half.
        """
        settings = self.settings
        if not settings.llm_base_url:
            return None
        if not settings.llm_model:
            raise PermanentError(
                ErrorKind.INVALID_OPTION,
                "INGEST_LLM_BASE_URL is set and INGEST_LLM_MODEL is not: name the model to ask",
            )
        from ingestion_pipeline.llm import Endpoint

        return Endpoint(
            settings.llm_base_url,
            settings.llm_model,
            settings.llm_api_key,
            settings.llm_timeout_seconds,
            settings.llm_vision_model,
            settings.llm_transcription_model,
        )

    @cached_property
    def chat_slots(self) -> Slots:
        """Room for questions to the language model, for all processes of this machine."""
        from ingestion_pipeline.llm import Slots

        return Slots(self.settings.max_concurrent_chats, self.settings.state / "chats")

    @cached_property
    def pipelines(self) -> dict[str, Pipeline]:
        """The pipelines that people declared, by name.

        Raises:
            PermanentError: of kind ``invalid_option``, naming file and line, if one cannot run.
        """
        from ingestion_pipeline.dataflow import DECLARED, find_pipelines

        return find_pipelines(self.settings.pipelines, DECLARED)

    def pipeline(self, name: str) -> Pipeline:
        """Return a pipeline.

        Raises:
            PermanentError: of kind ``not_found``.
        """
        if name not in self.pipelines:
            known = ", ".join(sorted(self.pipelines)) or "none"
            raise PermanentError(
                ErrorKind.NOT_FOUND, f"there is no pipeline {name!r}; there are: {known}"
            )
        return self.pipelines[name]

    def way(self, collection: Collection, pipeline: str | None) -> Way:
        """Return how documents of a collection are taken through the stages.

        By its configuration, or as the pipeline says that they belong to.
        """
        from ingestion_pipeline.dataflow.way import Way, way

        if pipeline is None:
            return Way(collection.config, self.recipes(collection))
        return way(
            self.pipeline(pipeline),
            collection.config,
            self.embedder(collection),
            self._model_name(),
            partial(self._lessons, collection.name.tenant),
        )

    def rerun(self, collection: Collection, pipeline: str, component: str) -> Rerun:
        """Return what is kept when documents are done again from a component on.

        Raises:
            PermanentError: of kind ``not_found`` if there is no such pipeline, of kind
                ``invalid_option`` if it has no such component.
        """
        from ingestion_pipeline.registry.documents import Rerun

        kept = self.pipeline(pipeline).steps_before(component)
        recipes = self.way(collection, pipeline).recipes
        return Rerun(component, {step: recipes[step] for step in kept})

    def pipeline_recipes(self, collection: Collection) -> dict[str, str]:
        """Return the current recipe of what each pipeline publishes in a collection."""
        return {name: self.way(collection, name).recipes[Stage.INDEXED] for name in self.pipelines}

    def recipes(self, collection: Collection) -> dict[str, str]:
        """Return the current recipe of each stage for a collection."""
        from ingestion_pipeline.stages.recipes import recipes

        teacher = collection.config.enrichment.tags
        lessons = self._lessons(collection.name.tenant, teacher) if teacher else None
        return recipes(
            collection.config, self.embedder(collection), llm=self._model_name(), lessons=lessons
        )

    def _model_name(self) -> str | None:
        endpoint = self.endpoint
        return endpoint.fingerprint if endpoint else None

    def _lessons(self, tenant: str, name: str) -> str | None:
        """Return the version of a collection that tags are learned from; it may be deleted."""
        teacher = self.registry.collections.find(CollectionName(tenant, name).key)
        if teacher is None:
            return None
        return self.registry.collections.data_version(teacher.key, Stage.INDEXED)

    def _tag_model(self, tenant: str, name: str) -> TagModel | None:
        teacher = self.registry.collections.find(CollectionName(tenant, name).key)
        if teacher is None:
            return None
        from ingestion_pipeline.enrichment import TagModel

        return TagModel.learn(self.index(teacher).snapshot().tagged())

    def answer(self, document_id: str) -> str | None:
        """Return what a person answered about a document; None if nobody did."""
        sealed = self.registry.claims.answer(document_id)
        return self.sealer.open(sealed) if sealed is not None else None

    def close(self) -> None:
        """Close what was opened; what is used again is opened again."""
        self._close_parsers()
        if "readers" in vars(self):
            vars(self).pop("readers").close()
        if "registry" in vars(self):
            self.registry.database.dispose()
        if "redis" in vars(self):
            self.redis.close()

    @contextmanager
    def tools(self, collection: Collection, pipeline: str | None = None) -> Iterator[Tools]:
        """Open what the stages of a collection work with, or those of a pipeline in it."""
        from ingestion_pipeline.stages.work import Tools

        settings = self.settings
        model = self._language_model()

        def llm(document_id: str) -> ChatModel | None:
            answers = self.artifacts.answers(collection.name, document_id)
            return model.with_cache(answers) if model else None

        try:
            way = self.way(collection, pipeline)
            yield Tools(
                collection=replace(collection, config=way.config),
                objects=self.objects,
                artifacts=self.artifacts,
                parsers=self.parsers,
                embedder=self.embedder(collection),
                index=self.index(collection),
                sources=self.source_policy,
                parallel=settings.max_concurrent_tasks,
                password=self.answer,
                recipes=way.recipes,
                llm=llm,
                describes_pictures=settings.llm_vision_model is not None,
                tags=cache(partial(self._tag_model, collection.name.tenant)),
                embedded_before=self.registry.documents.embedded,
                parts=way.parts,
                asked=way.asked,
                suffixes=way.suffixes,
            )
        finally:
            if self._stay_warm:
                self.parsers.rest()
            else:
                self._close_parsers()

    def _close_parsers(self) -> None:
        if "parsers" in vars(self):
            vars(self).pop("parsers").close()
