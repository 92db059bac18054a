"""The stage *parsed*: elements with pages, headings and tables.

Reads the source bytes and the document's name. Writes a ``ParsedDocument``. Runs in a child
process with a limit on time and memory.
"""

from __future__ import annotations

from ingestion_pipeline.model.documents import Stage
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.doubts import doubt
from ingestion_pipeline.stages import sourced
from ingestion_pipeline.stages.work import Tools, Work


def run(work: Work, tools: Tools) -> ParsedDocument:
    """Parse the document, or load what was parsed before.

    Raises:
        InputNeededError: when a person has to give a password, or say whether to go on.
    """
    fingerprint = work.fingerprints[Stage.PARSED]
    parsed = work.memoised(
        Stage.PARSED,
        load=lambda: load(work, tools),
        compute=lambda: tools.parsers.parse(
            sourced.read(work, tools),
            work.document.name,
            password=tools.password(work.document.document_id),
            key=work.document.document_id,
        ),
        store=lambda value: tools.artifacts.put_parsed(
            tools.collection.name, work.document.document_id, fingerprint, value
        ),
    )
    work.result.media_type = parsed.media_type
    work.result.pages = parsed.pages
    if work.document.confirmed != work.version and (found := doubt(parsed, work.document.name)):
        raise found
    return parsed


def load(work: Work, tools: Tools) -> ParsedDocument | None:
    """Return the stored result, if there is one."""
    return tools.artifacts.get_parsed(
        tools.collection.name, work.document.document_id, work.fingerprints[Stage.PARSED]
    )
