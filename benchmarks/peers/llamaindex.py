"""LlamaIndex: an ingestion pipeline of sentence splitter and embedding, into its LanceDB store."""

from measured import Job, Report

TOKENS, OVERLAP = 254, 0
"""Without the two special tokens, which its splitter does not count."""


def main() -> None:
    """Ingest every file."""
    job, report = Job.from_arguments(), Report()
    with report.loading():
        import torch
        from llama_index.core import Document
        from llama_index.core.ingestion import IngestionPipeline
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding
        from llama_index.vector_stores.lancedb import LanceDBVectorStore
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(str(job.model))
        splitter = SentenceSplitter(
            chunk_size=TOKENS,
            chunk_overlap=OVERLAP,
            tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False),
        )
        options = {"dtype": torch.bfloat16} if job.bfloat16 else {}
        embedding = HuggingFaceEmbedding(str(job.model), model_kwargs=options)
        embedding.get_text_embedding("warm")
    with report.working():
        store = LanceDBVectorStore(uri=str(job.state), table_name="chunks")
        documents = [
            Document(id_=name, text=text, metadata={}) for name, text in job.texts().items()
        ]
        pipeline = IngestionPipeline(transformations=[splitter, embedding], vector_store=store)
        pipeline.run(documents=documents)
    report.print(job.state, "chunks", "text")


if __name__ == "__main__":
    main()
