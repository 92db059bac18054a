from __future__ import annotations

import random

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing.detection import FileType, detect
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS
from ingestion_pipeline_tests.parsing.ole_samples import ole


@pytest.mark.parametrize(
    ("name", "file_type"),
    [
        ("handbook.txt", FileType.PLAIN_TEXT),
        ("handbook.md", FileType.MARKDOWN),
        ("handbook.html", FileType.HTML),
        ("handbook.pdf", FileType.PDF),
        ("handbook.docx", FileType.DOCX),
        ("handbook.xlsx", FileType.XLSX),
        ("handbook.xls", FileType.XLS),
        ("handbook.pptx", FileType.PPTX),
        ("handbook.odt", FileType.ODT),
        ("handbook.ods", FileType.ODS),
        ("handbook.odp", FileType.ODP),
        ("handbook.epub", FileType.EPUB),
        ("handbook.rtf", FileType.RTF),
        ("handbook.eml", FileType.EML),
        ("handbook.mbox", FileType.MBOX),
        ("handbook.svg", FileType.SVG),
        ("handbook.ipynb", FileType.NOTEBOOK),
        ("handbook.xml", FileType.XML),
        ("handbook.json", FileType.JSON),
        ("handbook.jsonl", FileType.JSON_LINES),
        ("handbook.doc", FileType.DOC),
        ("handbook.ppt", FileType.PPT),
        ("handbook.msg", FileType.MSG),
        ("handbook.zip", FileType.ZIP),
        ("handbook.tar", FileType.TAR),
        ("handbook.tar.gz", FileType.GZIP),
    ],
)
@pytest.mark.parametrize("given_name", ["", "no-suffix", "wrong.txt", "wrong.png"])
def test_content_decides_whatever_the_name_says(
    name: str, file_type: FileType, given_name: str
) -> None:
    assert detect(ALL_FORMATS[name](), given_name) is file_type


@pytest.mark.parametrize(
    ("text", "name", "file_type"),
    [
        ("Just one line", "a.md", FileType.MARKDOWN),
        ("Just one line", "a.html", FileType.PLAIN_TEXT),
        ("<p>A fragment</p>", "a.html", FileType.HTML),
        ("<p>A fragment</p>", "a.txt", FileType.HTML),
        ("a < b and b > c", "a.txt", FileType.PLAIN_TEXT),
        ("# comment\nx = 1\n", "a.py", FileType.PLAIN_TEXT),
        ("The text says %PDF-1.4 and goes on.", "a.txt", FileType.PLAIN_TEXT),
        ('<?xml version="1.0"?>\n<!-- c -->\n<html><p>x</p></html>', "a.xml", FileType.HTML),
        ("a;b\n1;2\n", "a.csv", FileType.CSV),
        ("a;b\n1;2\n", "a.txt", FileType.PLAIN_TEXT),
        ("a\tb\n1\t2\n", "a.tab", FileType.TSV),
        ("Title\n=====\n", "a.rst", FileType.RST),
        ("* Title\n", "a.org", FileType.ORG),
        ("From: a\nSubject: b\n\nNo mail, for want of a version.", "a.txt", FileType.PLAIN_TEXT),
        ("From: a\nSubject: b\n\nA mail by its name.", "a.eml", FileType.EML),
        ("From a Wed Jul 16 2008\nX: y\nTo: b\n\nA mail.", "a.eml", FileType.EML),
        ("<note><to>You</to></note>", "a.xml", FileType.XML),
        ("<!doctype html><p>x</p>", "a.csv", FileType.HTML),
        ('{"cut": ', "a.txt", FileType.PLAIN_TEXT),
        ('{"cut": ', "a.json", FileType.JSON),
        ("[1] Somebody wrote so.\n", "a.txt", FileType.PLAIN_TEXT),
        ('{"a": 1}\n{"a": 2}\n', "a.json", FileType.JSON_LINES),
        ('["' + "long " * 20_000 + '"]', "a.txt", FileType.JSON),
        ("[1] " + "long " * 20_000 + "]", "a.txt", FileType.PLAIN_TEXT),
    ],
)
def test_the_name_is_a_hint_among_kinds_of_text(text: str, name: str, file_type: FileType) -> None:
    assert detect(text.encode(), name) is file_type


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x00\x00\x01\x00" + bytes(20), "icon"),
        (samples.zipped({"[Content_Types].xml": "<x/>", "xl/workbook.bin": "x"}), "Excel"),
        (
            samples.zipped(
                {"mimetype": "application/vnd.oasis.opendocument.graphics", "content.xml": "<x/>"}
            ),
            "OpenDocument",
        ),
        (samples.zipped({"[Content_Types].xml": "<x/>", "xl/theme.xml": "x"}), "ZIP container"),
        (ole({"VisioDocument": b"x"}), "OLE"),
        (random.Random(1).randbytes(4000), "binary"),
        (bytes(1000), "binary"),
        (b"text with\0\0\0\0 many zeros", "binary"),
    ],
)
def test_other_types_are_named_and_the_supported_ones_listed(data: bytes, what: str) -> None:
    with pytest.raises(PermanentError) as raised:
        detect(data, "notes.txt")
    assert raised.value.kind is ErrorKind.UNSUPPORTED
    assert what.lower() in raised.value.message.lower()
    assert "PDF, Word (.docx, .doc), OpenDocument" in raised.value.message


def test_no_bytes_are_an_empty_file() -> None:
    with pytest.raises(PermanentError) as raised:
        detect(b"", "a.txt")
    assert raised.value.kind is ErrorKind.EMPTY


def test_an_encrypted_office_document_is_told_from_an_old_one() -> None:
    data = ole({"EncryptedPackage": b"x", "EncryptionInfo": b"x"})
    with pytest.raises(PermanentError, match="protected by a password") as raised:
        detect(data, "a.docx")
    assert raised.value.kind is ErrorKind.ENCRYPTED


def test_a_cut_word_document_is_broken() -> None:
    data = samples.handbook_docx()
    with pytest.raises(PermanentError) as raised:
        detect(data[: len(data) // 2], "a.docx")
    assert raised.value.kind is ErrorKind.BROKEN


def test_folders_in_an_archive_make_no_office_document_of_it() -> None:
    data = samples.zipped({"ppt/notes.txt": "hello", "word/a.csv": "a;b"})
    assert detect(data, "a") is FileType.ZIP


def test_an_archive_without_members_is_an_archive() -> None:
    assert detect(samples.zipped({}), "a") is FileType.ZIP


def test_what_lies_deeper_in_a_container_does_not_decide() -> None:
    data = ole({"WordDocument": b"x", "ObjectPool": {"_1": {"Workbook": b"x"}}})
    assert detect(data, "a") is FileType.DOC


def test_a_damaged_container_is_known_by_the_names_in_it() -> None:
    data = ole({"PowerPoint Document": b"x"})
    assert detect(data[:30] + b"\xff" * 6 + data[36:], "a") is FileType.PPT


CMS = b"0\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"


@pytest.mark.parametrize(
    "data",
    [
        CMS + b"\x03" + bytes(100),
        b"-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n",
    ],
)
def test_a_message_that_only_its_recipient_can_read_is_encrypted(data: bytes) -> None:
    with pytest.raises(PermanentError, match="encrypted for its recipient") as raised:
        detect(data, "smime.p7m")
    assert raised.value.kind is ErrorKind.ENCRYPTED


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (CMS + b"\x02" + bytes(100), "a signed message"),
        (b"\x78\x9f\x3e\x22" + b"\1\0" * 100, "winmail.dat"),
        (b"ITSF" + bytes(100), "help file"),
        (bytes(60) + b"BOOKMOBI" + bytes(100), "Kindle"),
        (b"P6\n640 160\n255\n" + b"\xff" * 999, "PPM"),
        (samples.zipped({"Index/Document.iwa": "x", "preview.jpg": "x"}), "Pages"),
    ],
)
def test_what_cannot_be_read_is_called_by_its_name(data: bytes, what: str) -> None:
    with pytest.raises(PermanentError, match=what) as raised:
        detect(data, "a")
    assert raised.value.kind is ErrorKind.UNSUPPORTED
