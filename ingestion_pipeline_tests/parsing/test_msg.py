from __future__ import annotations

import struct

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.ole_samples import handbook_msg, msg, ole
from ingestion_pipeline_tests.parsing.outline import ITEM, TEXT, TITLE, outline, texts
from ingestion_pipeline_tests.parsing.picture_samples import chart


def test_a_message_is_read_with_its_people_and_what_is_attached() -> None:
    document = parse(handbook_msg(), "a.msg")
    below = ("Reisen handbook", "Receipts")
    assert document.media_type == "application/vnd.ms-outlook"
    assert document.title == "Reisen handbook"
    assert outline(document) == [
        (TITLE, "Reisen handbook", ()),
        (
            TEXT,
            (
                "From: Büro <office@example.com>\nTo: All <all@example.com>\nCc: Desk\n"
                "Date: Tue, 01 Oct 2024 12:34:56 +0000"
            ),
            ("Reisen handbook",),
        ),
        (TITLE, "Receipts", ("Reisen handbook",)),
        (TEXT, "Keep them, cafés too.", below),
        (ITEM, "Attachment: rates.csv (text/csv)", below),
        (ITEM, "Attachment: Rates.eml (message/rfc822)", below),
    ]
    rates, message = document.attachments
    assert (rates.name, rates.data) == ("rates.csv", b"City;Rate\nOslo;120\n")
    assert texts(parse(message.data, message.name)) == ["Rates", "Oslo is 120."]


def test_a_message_within_gives_the_same_bytes_each_time() -> None:
    assert parse(handbook_msg(), "a.msg") == parse(handbook_msg(), "a.msg")


def test_a_message_within_keeps_its_own_attachments() -> None:
    innermost = msg({0x0037: "Third", 0x1000: "Deep."}, header=24)
    file = {0x3707: "größe.txt", 0x3701: b"42"}
    inner = msg({0x0037: "Second", 0x1000: "Hi."}, attachments=[file, innermost], header=24)
    (second,) = parse(ole(msg({0x0037: "First"}, attachments=[inner])), "a.msg").attachments
    size, third = parse(second.data, second.name).attachments
    assert (second.name, size.name, size.data) == ("Second.eml", "größe.txt", b"42")
    assert texts(parse(third.data, third.name)) == ["Third", "Deep."]


def test_the_headers_that_were_sent_come_first() -> None:
    sent = "From: =?utf-8?q?B=C3=BCro?= <a@example.com>\r\nDate: Fri, 1 Mar 2024 10:00:00 +0100\r\n"
    document = parse(ole(msg({0x007D: sent, 0x0C1A: "Other", 0x1000: "Hi."})), "a.msg")
    assert texts(document) == [
        "From: Büro <a@example.com>\nDate: Fri, 1 Mar 2024 10:00:00 +0100",
        "Hi.",
    ]


def test_eight_bit_texts_are_read_in_their_code_page() -> None:
    values = {0x3FFD: 1251, 0x0037: "Москва".encode("cp1251"), 0x1000: "Привет".encode("cp1251")}
    assert texts(parse(ole(msg(values)), "a.msg")) == ["Москва", "Привет"]


def compressed(rich: bytes) -> bytes:
    """Return rich text packed without references, then one to its first five bytes."""
    packed = b"".join(b"\0" + rich[place : place + 8] for place in range(0, len(rich) // 8 * 8, 8))
    packed += b"\1" + struct.pack(">H", 207 << 4 | 3) + rich[len(rich) // 8 * 8 :]
    return struct.pack("<II4sI", len(packed) + 12, len(rich), b"LZFu", 0) + packed


@pytest.mark.parametrize(
    "data",
    [
        compressed(rb"{\rtf1 Rich\par \b body\par "),
        struct.pack("<II4sI", 60, 30, b"MELA", 0) + rb"{\rtf1 Rich\par {\rtf body\par}}",
    ],
)
def test_rich_text_is_read_where_there_is_no_html(data: bytes) -> None:
    document = parse(ole(msg({0x0037: "x", 0x1009: data, 0x1000: "Plain."})), "a.msg")
    assert [text.strip("{ ") for text in texts(document)][:3] == ["x", "Rich", "body"]


def test_plain_text_in_rich_text_is_read_as_plain_text() -> None:
    rich = compressed(rb"{\rtf1\fromtext One\par two.\par ")
    document = parse(ole(msg({0x1009: rich, 0x1000: "One\r\ntwo.\r\n\r\nThree."})), "a.msg")
    assert texts(document) == ["One\ntwo.", "Three."]


def test_a_word_document_attached_makes_no_word_document_of_a_message() -> None:
    attached = {0x3707: "a.doc", 0x3701: "WordDocument\0".encode("utf-16-le")}
    document = parse(ole(msg({0x1000: "Hi."}, attachments=[attached])), "a")
    assert document.media_type == "application/vnd.ms-outlook"


def test_a_link_in_place_of_a_file_is_named_and_no_attachment() -> None:
    document = parse(ole(msg({0x1000: "Hi."}, attachments=[{0x3707: "far.doc"}])), "a.msg")
    assert texts(document)[-1] == "Attachment: far.doc (application/octet-stream)"
    assert document.attachments == ()


def test_a_picture_that_the_body_shows_is_a_picture_of_the_document() -> None:
    values = {0x1013: b"<p>The way:<img src='cid:map'></p>"}
    picture = {0x3707: "map.png", 0x3712: "<map>", 0x3701: chart()}
    document = parse(ole(msg(values, attachments=[picture])), "a.msg")
    assert document.attachments == ()
    assert [(each.text, each.picture) for each in document.elements] == [
        ("The way:", document.pictures[0].picture_id)
    ]
    assert document.pictures[0].data == chart()
