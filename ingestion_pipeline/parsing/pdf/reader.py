"""Reads the pages of a PDF: a short one here, parts of a long one in processes beside this one.

PDFium knows no threads, and what follows it on each page is Python. So further processes read
parts of a long document and answer in JSON. They belong to the process group of this one and obey
its limits of memory; their input and output are pipes to it, so that they end with it.

Belongs here: which process reads which page. Does not belong here: reading one (``extract``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import TypeAdapter, ValidationError

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.parsing.pdf.arrange import arrange
from ingestion_pipeline.parsing.pdf.extract import read_sheet
from ingestion_pipeline.parsing.pdf.page import Page
from ingestion_pipeline.parsing.protocol import read_frame, write_frame

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

PAGES_PER_PROCESS = 300
"""A process takes half a second to start, in which another one reads two hundred pages."""
WORKER = (sys.executable, "-m", "ingestion_pipeline.parsing.pdf.worker")


@dataclass(frozen=True)
class Reading:
    """The pages that could be read, and the numbers of those that could not."""

    pages: list[Page] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    out_of_memory: bool = False


READING = TypeAdapter(Reading)


def read_pages(
    document: PdfDocument,
    data: bytes,
    password: str | None,
    *,
    pages_per_process: int = PAGES_PER_PROCESS,
    command: Sequence[str] = WORKER,
) -> Reading:
    """Read all pages; the result does not depend on how many processes took part.

    Args:
        document: The open document.
        data: Its bytes, and
        password: what opened it, for further processes.
        pages_per_process: Fewest pages that are worth a process.
        command: What such a process runs.

    Raises:
        TransientError: ``crashed`` if another process died.
        MemoryError: Here or there.
    """
    processes = max(1, min(_free_cores(), len(document) // pages_per_process))
    ends = [len(document) * number // processes for number in range(processes + 1)]
    with ExitStack() as stack:
        others = [
            stack.enter_context(_worker(command, data, password, begin, end))
            for begin, end in pairwise(ends[1:])
        ]
        readings = [read_range(document, 0, ends[1]), *map(_answer, others)]
    if any(reading.out_of_memory for reading in readings):
        raise MemoryError
    return Reading(
        [page for reading in readings for page in reading.pages],
        [number for reading in readings for number in reading.unreadable],
    )


def _free_cores() -> int:
    """Return how many cores nobody has used lately: more processes than these win nothing."""
    return (os.cpu_count() or 1) - int(os.getloadavg()[0])


def read_range(document: PdfDocument, begin: int, end: int) -> Reading:
    """Read pages ``begin`` (from 0) to ``end`` (excluded) in this process."""
    from pypdfium2 import PdfiumError

    reading = Reading()
    for index in range(begin, end):
        try:
            reading.pages.append(arrange(read_sheet(document, index)))
        except PdfiumError:
            reading.unreadable.append(index + 1)
    return reading


@contextmanager
def _worker(
    command: Sequence[str], data: bytes, password: str | None, begin: int, end: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that reads some pages; nothing is left of it afterwards."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [*command, str(begin), str(end)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None  # noqa: S101
        sender = threading.Thread(target=_send, args=(process.stdin, data, password))
        sender.start()
        try:
            yield process
        finally:
            process.kill()
            sender.join()


def _send(requests: BinaryIO, data: bytes, password: str | None) -> None:
    with suppress(BrokenPipeError), requests:  # whoever waits for the answer will notice
        write_frame(requests, (password or "").encode())
        write_frame(requests, data)


def _answer(process: subprocess.Popen[bytes]) -> Reading:
    answer = read_frame(cast(BinaryIO, process.stdout))
    try:
        return READING.validate_json(answer or b"")
    except ValidationError as error:
        raise TransientError(
            ErrorKind.CRASHED, "a process that read part of the PDF crashed"
        ) from error
