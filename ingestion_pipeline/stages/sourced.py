"""The stage *sourced*: which version of a document there is.

Reads the source: bytes that a client stored already, or a URI to fetch from. Writes the bytes to
the object store. Fingerprint: the version itself, by way of the recipe.
"""

from __future__ import annotations

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.stages.work import Tools, Work
from ingestion_pipeline.storage.sources import fetch_source


def run(work: Work, tools: Tools) -> None:
    """Settle the version of the document, fetching its bytes if that was asked for."""
    document = work.document
    suffix = document.name.rpartition(".")[2].lower()
    if tools.suffixes and suffix not in tools.suffixes:
        raise PermanentError(
            ErrorKind.UNSUPPORTED,
            f"the pipeline {document.pipeline} takes {', '.join(tools.suffixes)} only, not "
            f"{document.name}: submit it to another one",
        )
    with work.timed(Stage.SOURCED) as timer:
        timer.computed = document.fetch
        if document.fetch:
            fetched = fetch_source(document.uri, tools.sources)
            key, version = tools.objects.put(tools.collection.name, fetched.data)
            work.result.object_key = key
            work.result.bytes = len(fetched.data)
            work.has_version(version)
        elif document.sha256 is not None:
            work.has_version(document.sha256)
        else:
            raise PermanentError(
                ErrorKind.NOT_FOUND, f"{document.name} has no bytes: submit the file again"
            )
    work.done(Stage.SOURCED)


def read(work: Work, tools: Tools) -> bytes:
    """Return the document's bytes."""
    key = work.result.object_key or work.document.object_key
    if key is None:
        raise PermanentError(
            ErrorKind.NOT_FOUND, f"{work.document.name} has no bytes: submit the file again"
        )
    return tools.objects.get(tools.collection.name, key)
