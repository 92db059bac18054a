"""cocoindex: an app that walks the folder, splits, embeds and declares rows of a LanceDB table."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from measured import Job, Report
from numpy.typing import NDArray

JOB, REPORT = Job.from_arguments(), Report()
os.environ["COCOINDEX_DB"] = str(JOB.state / "cocoindex.db")
with REPORT.loading():
    import cocoindex as coco
    from cocoindex.connectors import lancedb, localfs
    from cocoindex.ops.sentence_transformers import SentenceTransformerEmbedder
    from cocoindex.ops.text import RecursiveSplitter
    from cocoindex.resources.chunk import Chunk
    from sentence_transformers import SentenceTransformer

    EMBEDDER = SentenceTransformerEmbedder(str(JOB.model))
    # It has no setting for the precision, so the model is loaded for it.
    OPTIONS = {"dtype": "bfloat16"} if JOB.bfloat16 else {}
    MODEL = SentenceTransformer(str(JOB.model), model_kwargs=OPTIONS)
    MODEL.encode("warm")
    EMBEDDER._model = MODEL  # noqa: SLF001

BYTES, OVERLAP = 1000, 0
"""About 256 tokens of English: its splitter counts bytes."""
DATABASE = coco.ContextKey[lancedb.LanceAsyncConnection]("lancedb")
SPLITTER = RecursiveSplitter()


@dataclass
class Row:
    """A row of the table."""

    id: str
    text: str
    vector: Annotated[NDArray[np.float32], EMBEDDER]


@coco.lifespan
async def opened(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
    """Connect to the database."""
    builder.provide(DATABASE, await lancedb.connect_async(str(JOB.state / "lancedb")))
    yield


@coco.fn
async def index_chunk(chunk: Chunk, name: str, table: lancedb.TableTarget[Row]) -> None:
    """Embed one chunk, and declare its row."""
    row = Row(f"{name}-{chunk.start.byte_offset}", chunk.text, await EMBEDDER.embed(chunk.text))
    table.declare_row(row=row)


@coco.fn(memo=True)
async def index_file(file: localfs.File, table: lancedb.TableTarget[Row]) -> None:
    """Split one file."""
    chunks = SPLITTER.split(await file.read_text(), BYTES, chunk_overlap=OVERLAP)
    await coco.map(index_chunk, chunks, file.file_path.path.name, table)


@coco.fn
async def index_folder() -> None:
    """Index each file of the folder."""
    schema = await lancedb.TableSchema.from_class(Row, primary_key=["id"])
    table = await lancedb.mount_table_target(DATABASE, "chunks", schema)
    await coco.mount_each(index_file, localfs.walk_dir(JOB.files).items(), table)


if __name__ == "__main__":
    app = coco.App(coco.AppConfig(name="compared"), index_folder)
    with REPORT.working():
        app.update_blocking()
    REPORT.print(JOB.state / "lancedb", "chunks", "text")
