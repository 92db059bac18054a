"""Haystack: a pipeline of splitter, embedder and writer, into its LanceDB store."""

from measured import Job, Report

WORDS, OVERLAP = 170, 0
"""About 256 tokens of English: its splitter counts words."""


def main() -> None:
    """Ingest every file."""
    job, report = Job.from_arguments(), Report()
    with report.loading():
        import pyarrow as pa
        from haystack import Document, Pipeline
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.writers import DocumentWriter
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
        )
        from lancedb_haystack import LanceDBDocumentStore

        embedder = SentenceTransformersDocumentEmbedder(
            model=str(job.model),
            progress_bar=False,
            model_kwargs={"torch_dtype": "bfloat16"} if job.bfloat16 else None,
        )
        embedder.warm_up()
        embedder.run([Document(content="warm")])
    with report.working():
        columns = [("source_id", pa.string()), ("page_number", pa.int64())]
        columns += [("split_id", pa.int64()), ("split_idx_start", pa.int64())]
        store = LanceDBDocumentStore(
            database=str(job.state),
            table_name="chunks",
            metadata_schema=pa.struct(columns),
            embedding_dims=384,
        )
        pipeline = Pipeline()
        splitter = DocumentSplitter(split_by="word", split_length=WORDS, split_overlap=OVERLAP)
        pipeline.add_component("splitter", splitter)
        pipeline.add_component("embedder", embedder)
        pipeline.add_component("writer", DocumentWriter(store))
        pipeline.connect("splitter", "embedder")
        pipeline.connect("embedder", "writer")
        documents = [Document(id=name, content=text) for name, text in job.texts().items()]
        pipeline.run({"splitter": {"documents": documents}})
    report.print(job.state, "chunks", "content")


if __name__ == "__main__":
    main()
