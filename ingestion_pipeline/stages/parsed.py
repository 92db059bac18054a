"""The stage *parsed*: elements with pages, headings and tables; pictures; attachments.

Reads the source bytes and the document's name. Writes a ``ParsedDocument``, and the bytes of what
is attached to it as source objects: attachments become documents of their own when their parent is
published (``registry.attachments``). Parsers run in a child process with a limit on time and
memory; what is said in a recording, or seen in a picture, a language model writes down.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import quote

from ingestion_pipeline.control import Control
from ingestion_pipeline.errors import (
    Ask,
    ErrorKind,
    IngestError,
    InputNeededError,
    PermanentError,
)
from ingestion_pipeline.model.documents import Document, Stage, document_id
from ingestion_pipeline.model.elements import Attachment, Element, ElementCategory, ParsedDocument
from ingestion_pipeline.parsing.audio import audio_type, transcript
from ingestion_pipeline.parsing.doubts import doubt
from ingestion_pipeline.registry.arrivals import Attached, NewDocument
from ingestion_pipeline.stages import sourced
from ingestion_pipeline.stages.work import Tools, Work

logger = logging.getLogger(__name__)

WITHIN = "!/"
"""Stands in a URI between a document and what is attached to it, as in ``jar:`` URLs."""
DEEPEST = 3
"""Attachments of attachments of attachments are looked at, and no deeper: archives can hold
themselves."""
DESCRIBE = (
    "Describe what this picture shows, in the language of any text in it: objects, people, what "
    "happens, and for charts and diagrams what they say, with figures. Plain text, no preamble."
)


def run(work: Work, tools: Tools, control: Control) -> ParsedDocument:
    """Parse the document, or load what was parsed before.

    Raises:
        InputNeededError: when a person has to give a password, or say whether to go on.
    """
    fingerprint = work.fingerprints[Stage.PARSED]
    parsed = work.memoised(
        Stage.PARSED,
        load=lambda: load(work, tools),
        compute=lambda: _parse(work, tools, control),
        store=lambda value: tools.artifacts.put_parsed(
            tools.collection.name, work.document.document_id, fingerprint, value
        ),
    )
    _note(work, tools, parsed, force=work.is_forced(Stage.PARSED))
    if work.document.confirmed != work.version and (found := doubt(parsed, work.document.name)):
        raise found
    return parsed


def load_known(work: Work, tools: Tools) -> ParsedDocument | None:
    """Return the stored result, for stages that go on from it: as if it were parsed now."""
    parsed = load(work, tools)
    if parsed is not None:
        _note(work, tools, parsed, force=False)
    return parsed


def load(work: Work, tools: Tools) -> ParsedDocument | None:
    """Return the stored result, if there is one and the bytes of all attachments are there."""
    name, objects = tools.collection.name, tools.objects
    parsed = tools.artifacts.get_parsed(
        name, work.document.document_id, work.fingerprints[Stage.PARSED]
    )
    keys = [objects.key(name, each.sha256) for each in parsed.attachments] if parsed else []
    return parsed if all(objects.renew(name, key) for key in keys) else None


def _note(work: Work, tools: Tools, parsed: ParsedDocument, *, force: bool) -> None:
    """Note what is known of the document now; its attachments follow when it is published."""
    work.result.media_type = parsed.media_type
    work.result.pages = parsed.pages
    work.result.attached = Attached(
        tuple(_document(work.document, each, tools) for each in parsed.attachments),
        force=force,
    )


def _parse(work: Work, tools: Tools, control: Control) -> ParsedDocument:
    document = work.document
    data = sourced.read(work, tools)
    if media_type := audio_type(data):
        return _transcribed(work, tools, data, media_type, control)
    parse = partial(
        tools.parsers.parse,
        data,
        document.name,
        partitioner=tools.collection.config.partitioner,
        key=document.document_id,
    )
    try:
        parsed = parse()
    except InputNeededError as error:
        password = tools.password(document.document_id) if error.asks is Ask.PASSWORD else None
        if password is None:
            raise
        parsed = parse(password=password)
    if tools.describes_pictures and parsed.media_type.startswith("image/"):
        parsed = _described(work, tools, parsed, control)
    return _with_attachments_stored(work, tools, parsed)


def _transcribed(
    work: Work, tools: Tools, data: bytes, media_type: str, control: Control
) -> ParsedDocument:
    llm = tools.llm(work.document.document_id)
    if llm is None:
        raise PermanentError(
            ErrorKind.DEPENDENCY_MISSING,
            f"{work.document.name} is sound, which only a language model can write down: set "
            "INGEST_LLM_BASE_URL, and INGEST_LLM_TRANSCRIPTION_MODEL to a model that does, and "
            "retry",
        )
    parsed = transcript(llm.transcribe(data, work.document.name, control=control), media_type)
    if not parsed.elements:
        raise PermanentError(ErrorKind.EMPTY, f"nothing is said in {work.document.name}")
    return parsed


def _described(
    work: Work, tools: Tools, parsed: ParsedDocument, control: Control
) -> ParsedDocument:
    """Add to a picture what the language model sees in it; without that it is as it is."""
    llm = tools.llm(work.document.document_id)
    if llm is None:
        return parsed
    try:
        described = [
            Element(
                ElementCategory.IMAGE,
                llm.describe(each.data, each.media_type, DESCRIBE, control=control),
                picture=each.picture_id,
            )
            for each in parsed.pictures
        ]
    except IngestError as error:
        logger.warning("%s is not described: %s", work.document.name, error)
        return parsed
    seen = tuple(element for element in described if element.text.strip())
    return replace(parsed, elements=(*parsed.elements, *seen))


def _with_attachments_stored(work: Work, tools: Tools, parsed: ParsedDocument) -> ParsedDocument:
    """Store the bytes of what is attached, and return the document without them."""
    if parsed.attachments and work.document.uri.count(WITHIN) >= DEEPEST:
        left_out = f"{len(parsed.attachments)} files within it are too deep to be looked at"
        return replace(parsed, attachments=(), warnings=(*parsed.warnings, left_out))
    for attachment in parsed.attachments:
        tools.objects.put(tools.collection.name, attachment.data)
    return replace(
        parsed, attachments=tuple(replace(each, data=b"") for each in parsed.attachments)
    )


def _document(parent: Document, attachment: Attachment, tools: Tools) -> NewDocument:
    uri = f"{parent.uri}{WITHIN}{quote(attachment.name)}"
    return NewDocument(
        document_id=document_id(parent.collection_key, uri),
        name=PurePosixPath(attachment.name).name,
        uri=uri,
        fetch=False,
        sha256=attachment.sha256,
        object_key=tools.objects.key(tools.collection.name, attachment.sha256),
        bytes=attachment.size,
        parent_id=parent.document_id,
        parser=parent.parser,
        pipeline=parent.pipeline,
    )
