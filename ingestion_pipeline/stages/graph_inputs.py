"""What the graph of a collection is built of and with.

Belongs here: that, and the recipes that follow from it. Does not belong here: building
(``graphed``), reading documents (``graph_sources``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ingestion_pipeline.embedding import Embedder
from ingestion_pipeline.graph import Readers
from ingestion_pipeline.indexing import Snapshot
from ingestion_pipeline.indexing.graphs import GraphIndex
from ingestion_pipeline.llm import ChatModel
from ingestion_pipeline.model.collections import CollectionName, GraphConfig
from ingestion_pipeline.model.graph import Correction, ExtractionMethod
from ingestion_pipeline.stages.recipes import extraction_recipe, graph_recipe, report_recipe
from ingestion_pipeline.storage.artifacts import ArtifactStore


@dataclass(frozen=True)
class GraphInputs:
    """What the graph of a collection is built of and with.

    A report's vector is the mean of those of the chunks that it cites. Without a language
    model, documents are read by a parser and reports quote sentences. ``corrections`` are what
    persons said of names, in the order in which they did. ``readers`` read documents; without them
    a build starts some of its own, and ends them. ``vectors`` is the recipe of the chunks' vectors,
    where that is more than the model.
    """

    snapshot: Snapshot
    graphs: GraphIndex
    artifacts: ArtifactStore
    collection: CollectionName
    config: GraphConfig
    embedder: Embedder
    corrections: Sequence[Correction] = ()
    llm: ChatModel | None = None
    readers: Readers | None = None
    vectors: str | None = None

    @property
    def recipe(self) -> str:
        """What a graph's ``Origin`` says; with another one, a graph is not current."""
        return graph_recipe(
            self.config, self.embedder, self.corrections, llm=self._llm, vectors=self.vectors
        )

    @property
    def extraction_recipe(self) -> str:
        """What is part of the fingerprint of each document's graph."""
        return extraction_recipe(self.config, llm=self._llm)

    @property
    def report_recipe(self) -> str:
        """What is part of what each report was made from."""
        return report_recipe(self.embedder, llm=self._llm)

    @property
    def reader(self) -> ChatModel | None:
        """The language model, if documents are read with it."""
        return None if self.config.method is ExtractionMethod.LINGUISTIC else self.llm

    @property
    def _llm(self) -> str | None:
        return self.llm.fingerprint if self.llm else None
