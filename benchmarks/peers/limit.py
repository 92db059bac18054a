"""The limit: our model's runtime, text cut at token counts, one table written at the end.

No parsing, no book-keeping, nothing that could be resumed: what remains is tokenising, embedding
and storing, which whoever ingests the same texts with the same model cannot do without.
"""

from itertools import pairwise

from measured import Job, Report


def main() -> None:
    """Ingest every file."""
    job, report = Job.from_arguments(), Report()
    with report.loading():
        import lancedb
        import pyarrow as pa

        from ingestion_pipeline.control import NoControl
        from ingestion_pipeline.embedding import load_embedder
        from ingestion_pipeline.settings import PACKAGED_MODEL

        embedder = load_embedder(PACKAGED_MODEL)
        embedder.encode(["warm"] * 4, NoControl())
        room = embedder.max_tokens - embedder.tokenizer.special_tokens_per_text
    with report.working():
        ids, texts = [], []
        for name, text in job.texts().items():
            starts = list(embedder.tokenizer.token_starts(text))
            cuts = [0, *starts[room::room], len(text)]
            for begin, end in pairwise(cuts):
                ids.append(f"{name}-{begin}")
                texts.append(text[begin:end])
        vectors = embedder.encode(texts, NoControl())
        rows = pa.table(
            {
                "id": ids,
                "text": texts,
                "vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]),
            }
        )
        lancedb.connect(job.state).create_table("chunks", rows)
    report.print(job.state, "chunks", "text")


if __name__ == "__main__":
    main()
