"""Damaged documents of every format end as a document or as a typed error, and soon.

A child per document would hide nothing: whoever hangs or crashes in it is found by the pool.
"""

from __future__ import annotations

import functools
import io
import random
import time
import zipfile
from collections.abc import Iterator

import pytest

from ingestion_pipeline.errors import ErrorKind, IngestError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import ParserPool
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS
from ingestion_pipeline_tests.parsing.samples import zipped

SECONDS = 30
"""For all formats together."""
FEWEST = 10
"""Of each format, on however busy a machine."""
HANG_SECONDS = 20
MEMORY_BYTES = 1024**3
NO_FAULT_OF_A_DOCUMENT = {ErrorKind.TIMEOUT, ErrorKind.CRASHED, ErrorKind.UNAVAILABLE}
NUMBERS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"999999999")


@pytest.fixture(scope="module")
def pool() -> Iterator[ParserPool]:
    with ParserPool(1, HANG_SECONDS, MEMORY_BYTES) as shared:
        yield shared


@functools.cache
def sample(name: str) -> bytes:
    return ALL_FORMATS[name]()


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, repeat, cut off or mix some bytes, in one place or many."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20, 100))):
        place = chance.randrange(len(result) + 1)
        other = chance.randrange(len(result) + 1)
        match chance.randrange(60):
            case 0:
                del result[place:]
            case 1:
                result[place:] = result[min(place, other) :]
            case 2:
                result[place:place] = result[other : other + 5000]
            case kind if kind < 20:
                result[place : place + 1] = chance.randbytes(1)
            case kind if kind < 30:
                result[place : place + 4] = chance.choice(NUMBERS)
            case kind if kind < 45:
                del result[place : place + chance.randrange(1, 30)]
            case _:
                result[place:place] = result[other : other + chance.randrange(1, 40)]
    return bytes(result)


def spliced(data: bytes, chance: random.Random) -> bytes:
    """Begin as one format and go on as another."""
    other = sample(chance.choice(sorted(ALL_FORMATS)))
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def with_mutated_member(data: bytes, chance: random.Random) -> bytes:
    """Damage what is in a container, which otherwise its checksums would give away."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
        name = chance.choice(sorted(members))
        members[name] = mutated(archive.read(name), chance)
    return zipped(members)


def damaged(data: bytes, seed: str) -> bytes:
    """Return a damaged copy, always the same for a seed."""
    chance = random.Random(seed)
    if chance.randrange(20) == 0:
        return spliced(data, chance)
    if data.startswith(b"PK") and chance.randrange(2):
        return with_mutated_member(data, chance)
    return mutated(data, chance)


def is_good(outcome: ParsedDocument | IngestError) -> bool:
    """Whether a document can be stored, or an error says what is wrong with it."""
    if isinstance(outcome, IngestError):
        return outcome.kind not in NO_FAULT_OF_A_DOCUMENT and bool(outcome.message)
    others = outcome.attachments or outcome.pictures or outcome.scanned_pages
    return bool(outcome.text.encode() or others)


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_a_damaged_document_is_read_or_refused_with_a_reason(pool: ParserPool, name: str) -> None:
    data = sample(name)
    end = time.monotonic() + SECONDS / len(ALL_FORMATS)
    number = 0
    while number < FEWEST or time.monotonic() < end:
        number += 1
        try:
            document = pool.parse(damaged(data, f"{name} {number}"), name)
        except IngestError as error:
            outcome: ParsedDocument | IngestError = error
        else:
            outcome = document
        assert is_good(outcome), f"{name} {number}: {outcome!r}"
