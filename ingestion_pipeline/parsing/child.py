"""The process in which documents are parsed: one after the other, until its input ends.

Belongs here: the limits a process sets for itself, and the loop. Does not belong here: timeouts
and restarts (``pool``).
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import BinaryIO

from ingestion_pipeline.children import die_with
from ingestion_pipeline.errors import IngestError, InputNeededError, TransientError
from ingestion_pipeline.model.collections import Partitioner
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import pulse
from ingestion_pipeline.parsing.factory import parse
from ingestion_pipeline.parsing.protocol import (
    OUT_OF_MEMORY,
    Failure,
    Reply,
    frames,
    read_frame,
    write_frame,
)

Parse = Callable[[bytes, str, str | None, Partitioner], ParsedDocument]
"""Reads a document, given its bytes, its name, its password, if there is one, and who reads it."""


def serve(parse_one: Parse, arguments: Sequence[str]) -> None:
    """Answer documents on standard input with replies on standard output.

    Args:
        parse_one: Reads a document.
        arguments: The parent's process id and the limit of memory in bytes.
    """
    parent, memory_bytes = map(int, arguments)
    die_with(parent)
    _limit(memory_bytes)
    requests, replies = _take_over_pipes()
    write_frame(replies, b"")
    pulse.listener.set(lambda: write_frame(replies, b""))
    while (name := read_frame(requests)) is not None:
        partitioner, password, data = (read_frame(requests) for _ in range(3))
        if partitioner is None or password is None or data is None:
            return
        chosen = Partitioner(partitioner.decode())
        reply = _answer(parse_one, data, name.decode(), password.decode() or None, chosen)
        del data, password
        _send(replies, reply)
        del reply


def _limit(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _take_over_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes to ourselves: what a library prints must not come between the replies."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _answer(
    parse_one: Parse, data: bytes, name: str, password: str | None, partitioner: Partitioner
) -> Reply:
    try:
        return Reply(document=parse_one(data, name, password, partitioner))
    except MemoryError:
        return Reply(failure=OUT_OF_MEMORY)
    except IngestError as error:
        transient = isinstance(error, TransientError)
        asks = error.asks if isinstance(error, InputNeededError) else None
        return Reply(failure=Failure(error.kind, error.message, transient, asks))


def _send(replies: BinaryIO, reply: Reply) -> None:
    for frame in frames(reply):
        write_frame(replies, frame)


if __name__ == "__main__":
    serve(parse, sys.argv[1:])
