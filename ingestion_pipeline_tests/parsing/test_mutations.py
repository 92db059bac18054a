"""Damaged documents of every format end as a document or as a typed error, and soon."""

from __future__ import annotations

import io
import random
import zipfile

import pytest

from ingestion_pipeline.errors import PermanentError
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS
from ingestion_pipeline_tests.parsing.samples import zipped

MUTATIONS = 40


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change, remove and repeat some bytes."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 3, 20))):
        place = chance.randrange(len(result) + 1)
        match chance.randrange(3):
            case 0:
                result[place : place + 1] = chance.randbytes(1)
            case 1:
                del result[place : place + chance.randrange(1, 30)]
            case _:
                start = chance.randrange(len(result) + 1)
                result[place:place] = result[start : start + chance.randrange(1, 40)]
    return bytes(result)


def with_mutated_member(data: bytes, chance: random.Random) -> bytes:
    """Damage what is in a container, which otherwise its checksums would give away."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    members[name] = mutated(archive_bytes(members[name]), chance)
    return zipped(members)


def archive_bytes(content: bytes | str) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


@pytest.mark.parametrize("name", ALL_FORMATS)
def test_a_damaged_document_is_read_or_refused_with_a_reason(name: str) -> None:
    data = ALL_FORMATS[name]()
    chance = random.Random(name)
    for number in range(MUTATIONS):
        inside = data.startswith(b"PK") and number % 2
        damaged = with_mutated_member(data, chance) if inside else mutated(data, chance)
        try:
            document = parse(damaged, name)
        except PermanentError:
            continue
        assert isinstance(document, ParsedDocument)
        document.text.encode()
