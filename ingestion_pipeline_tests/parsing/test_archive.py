from __future__ import annotations

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.archive import Archive, resolve
from ingestion_pipeline_tests.parsing.samples import zipped


@pytest.mark.parametrize("name", ["word/document.xml", "xl/workbook.xml", "ppt/presentation.xml"])
def test_a_bomb_is_refused_before_it_is_unpacked(name: str) -> None:
    data = zipped({name: "<a/>", "bomb.xml": bytes(64 * 1024**2)})
    with pytest.raises(PermanentError, match="unpacks from") as raised:
        parse(data, "a")
    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_declares() -> None:
    data = zipped({"a.xml": bytes(1024**2)})
    lie = data.replace((1024**2).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    with (
        Archive(lie) as archive,
        archive.open("a.xml") as file,
        pytest.raises(Exception, match="CRC"),
    ):
        assert len(file.read()) <= 1000


@pytest.mark.parametrize(
    ("folder", "target", "member"),
    [
        ("xl", "worksheets/s.xml", "xl/worksheets/s.xml"),
        ("xl", "/xl/s.xml", "xl/s.xml"),
        ("ppt/slides", "../notes/n.xml", "ppt/notes/n.xml"),
        ("OPS", "a%20b.xhtml#part", "OPS/a b.xhtml"),
        ("", "../../../etc/passwd", "etc/passwd"),
    ],
)
def test_references_stay_within_the_container(folder: str, target: str, member: str) -> None:
    assert resolve(folder, target) == member
