from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.model.elements import ElementCategory
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import CODE, ITEM, TABLE, TEXT, TITLE, outline, texts


def test_titles_are_headings_like_elements_tables_and_single_values_lines() -> None:
    document = parse(samples.XML, "a.xml")
    assert document.title == "Travel"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "version: 3", ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (TEXT, "Whoever travels keeps them.", ("Travel", "Receipts")),
        (ITEM, "Keep them", ("Travel", "Receipts")),
        (ITEM, "Hand them in", ("Travel", "Receipts")),
        (TITLE, "Rates", ("Travel",)),
        (TABLE, "city | rate\nOslo | 120\nRome | 98", ("Travel", "Rates")),
        (TEXT, "name: Office\nphone: 555", ("Travel",)),
    ]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            (
                "<a><sec><title>One</title><p>Text.</p></sec>"
                "<sec><title>Two</title><p>More.</p></sec></a>"
            ),
            [
                (TITLE, "One", ()),
                (TEXT, "Text.", ("One",)),
                (TITLE, "Two", ()),
                (TEXT, "More.", ("Two",)),
            ],
        ),
        (
            "<book><title>One</title><price>5</price></book>",
            [(TITLE, "One", ()), (TEXT, "price: 5", ("One",))],
        ),
        (
            "<person><name>Kim</name><mail><m>a</m><m>b</m></mail></person>",
            [(TITLE, "Kim", ()), (TEXT, "a", ("Kim",)), (TEXT, "b", ("Kim",))],
        ),
        ("<feed><item><content>Text.</content></item></feed>", [(ITEM, "Text.", ())]),
        ("<a><programlisting>x\n  y</programlisting></a>", [(CODE, "x\n  y", ())]),
    ],
)
def test_documents_and_data_are_told_apart(
    source: str, expected: list[tuple[ElementCategory, str, tuple[str, ...]]]
) -> None:
    assert outline(parse(source.encode(), "a.xml")) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_the_encoding_is_the_declared_one_or_the_one_that_is_there(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    source = f'<?xml version="1.0" encoding="{declared}"?><a><b>Größe</b></a>'
    assert texts(parse(source.encode(encoding), "a.xml")) == ["Größe"]


def test_entities_read_no_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret words")
    source = (
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "{secret.as_uri()}">]><a>x&e;</a>'
    )
    assert "secret words" not in parse(source.encode(), "a.xml").text


def test_entities_do_not_multiply() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 10))
    source = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "e">{entities}]><a>x&e9;</a>'
    with pytest.raises(PermanentError, match="amplification") as raised:
        parse(source.encode(), "a.xml")
    assert raised.value.kind is ErrorKind.BROKEN


@pytest.mark.parametrize("source", ["<?xml version='1.0'?><a>", "<a>" * 10_000])
def test_what_is_not_well_formed_is_broken(source: str) -> None:
    with pytest.raises(PermanentError) as raised:
        parse(source.encode(), "a.xml")
    assert raised.value.kind is ErrorKind.BROKEN


def test_entities_of_the_document_itself_are_read() -> None:
    source = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY co "Company Ltd">]><a><p>We, &co;.</p></a>'
    assert parse(source.encode(), "a.xml").text == "We, Company Ltd."


def test_pages_within_a_feed_are_read_as_pages() -> None:
    source = (
        '<?xml version="1.0"?><rss><channel><title>News</title><item><title>First</title>'
        "<description>&lt;p&gt;Body &lt;b&gt;one&lt;/b&gt;&lt;/p&gt;</description></item>"
        "<item><title>Second</title><description><![CDATA[<ul><li>x</li><li>y</li></ul>]]>"
        "</description></item></channel></rss>"
    )
    assert outline(parse(source.encode(), "a.xml")) == [
        (TITLE, "News", ()),
        (TITLE, "First", ("News",)),
        (TEXT, "Body one", ("News", "First")),
        (TITLE, "Second", ("News",)),
        (ITEM, "x", ("News", "Second")),
        (ITEM, "y", ("News", "Second")),
    ]
