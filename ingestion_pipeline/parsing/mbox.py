"""Mailboxes (.mbox): each message becomes an attachment, to be read as a mail.

Source: RFC 4155; lines that begin with ">From " are taken for quoted ones.
"""

from __future__ import annotations

import email.parser
import email.policy
import re
from itertools import pairwise

from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing.attachments import Attachments
from ingestion_pipeline.parsing.detection import MESSAGE_START, FileType
from ingestion_pipeline.parsing.eml import header

_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def parse_mbox(data: bytes) -> ParsedDocument:
    """Part a mailbox into its messages, which are named by their subjects.

    Raises:
        PermanentError: ``too_large`` for more than 10,000 messages.
    """
    starts = [0, *(match.start() for match in MESSAGE_START.finditer(data)), len(data)]
    parser = email.parser.BytesHeaderParser(policy=email.policy.compat32)
    attachments = Attachments()
    for start, end in pairwise(starts):
        message = _QUOTED.sub(rb"\1", data[start:end].strip().partition(b"\n")[2])
        subject = header(parser.parsebytes(message), "Subject").replace("/", " ")
        attachments.add(f"{subject or 'message'}.eml", message)
    return ParsedDocument(FileType.MBOX, (), attachments=attachments.all())
