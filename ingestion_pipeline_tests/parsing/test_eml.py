from __future__ import annotations

import base64

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline, texts
from ingestion_pipeline_tests.parsing.picture_samples import chart


def test_headers_the_richest_body_and_the_names_of_attachments_are_read() -> None:
    document = parse(samples.EML, "a.eml")
    below = ("Reisen handbook", "Receipts")
    assert document.title == "Reisen handbook"
    assert outline(document) == [
        (TITLE, "Reisen handbook", ()),
        (
            TEXT,
            (
                "From: Büro <office@example.com>\nTo: all@example.com\n"
                "Date: Tue, 01 Oct 2024 12:34:56 -0500"
            ),
            ("Reisen handbook",),
        ),
        (TITLE, "Receipts", ("Reisen handbook",)),
        (TEXT, "Keep them, cafés too.", below),
        (TABLE, "City | Rate\nOslo | 120", below),
        (ITEM, "Attachment: rates.pdf (application/pdf)", below),
    ]
    assert [(each.name, each.data) for each in document.attachments] == [("rates.pdf", bytes(3))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_a_message_may_be_stored_in_any_encoding(encoding: str) -> None:
    message = "MIME-Version: 1.0\nSubject: Hello\n\nFirst.\n\nSecond.\n"
    assert texts(parse(message.encode(encoding), "a.eml")) == ["Hello", "First.", "Second."]


@pytest.mark.parametrize(
    "headers",
    [
        "Subject: =?unknown?b?!!!?=",
        "Subject: x\nContent-Type: multipart/mixed",
        "Subject: x\nContent-Type: text/plain; charset=nonsense",
        "Subject: x\nContent-Transfer-Encoding: base64",
    ],
)
def test_a_faulty_header_does_not_lose_the_body(headers: str) -> None:
    document = parse(f"From: a@b\nMIME-Version: 1.0\n{headers}\n\nThe body.\n".encode(), "a.eml")
    assert "From: a@b" in document.text
    assert "The body." in document.text or "base64" in headers


def mixed(*parts: str) -> bytes:
    """Return a message of several parts, each with its own header."""
    body = "".join(f"--edge\n{part}\n" for part in parts)
    return (
        "From: a@b\nSubject: Trip\nMIME-Version: 1.0\n"
        f"Content-Type: multipart/mixed; boundary=edge\n\n{body}--edge--\n"
    ).encode()


HTML_BODY = 'Content-Type: text/html\n\n<p>See <img src="cid:map@1">.</p>'


def test_pictures_that_the_body_shows_are_no_attachments() -> None:
    data = chart()
    picture = (
        "Content-Type: image/png\nContent-ID: <{}>\nContent-Transfer-Encoding: base64\n\n"
        f"{base64.b64encode(data).decode()}"
    )
    document = parse(mixed(HTML_BODY, picture.format("map@1"), picture.format("other@1")), "a.eml")
    assert [each.name for each in document.attachments] == ["attachment"]
    assert document.text.count("Attachment:") == 1
    (shown,) = document.pictures
    assert shown.data == data
    assert [each.text for each in document.elements if each.picture] == ["See ."]


def test_a_message_within_is_an_attachment_to_read() -> None:
    inner = "From: c@d\nSubject: Hotel / Oslo\nMIME-Version: 1.0\n\nIt is booked."
    document = parse(mixed(f"Content-Type: message/rfc822\n\n{inner}"), "a.eml")
    (message,) = document.attachments
    assert message.name == "Hotel Oslo.eml"
    assert texts(parse(message.data, message.name)) == [
        "Hotel / Oslo",
        "From: c@d",
        "It is booked.",
    ]


def test_names_of_attachments_are_decoded_safe_and_distinct() -> None:
    part = 'Content-Type: application/pdf\nContent-Disposition: attachment; filename="{}"\n\nx'
    names = ("../../etc/passwd", "=?utf-8?q?Gr=C3=B6=C3=9Fe=2Epdf?=", "a.pdf", "a.pdf")
    document = parse(mixed(*map(part.format, names)), "a.eml")
    assert [each.name for each in document.attachments] == [
        "etc/passwd",
        "Größe.pdf",
        "a.pdf",
        "a (2).pdf",
    ]


def test_texts_and_reports_of_delivery_can_be_attached() -> None:
    text = "Content-Type: text/csv; name=rates.csv\n\nOslo;120\n"
    report = "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\n"
    rates, status = parse(mixed(text, report), "a.eml").attachments
    assert (rates.name, rates.data) == ("rates.csv", b"Oslo;120\n")
    assert b"Action: failed" in status.data


def test_a_saved_web_page_is_its_text_without_what_it_is_made_of() -> None:
    page = (
        "Content-Type: text/html\nContent-Location: http://x/\n\n"
        '<link href="http://x/a.css"><h1>Travel</h1><img src="http://x/map.png">'
    )
    style = "Content-Type: text/css\nContent-Location: http://x/a.css\n\np { color: red }"
    picture = "Content-Type: image/png\nContent-Location: http://x/map.png\n\nx"
    document = parse(mixed(page, style, picture), "a.mht")
    assert texts(document) == ["Trip", "From: a@b", "Travel"]
    assert document.attachments == ()


def test_styles_of_a_saved_page_are_no_attachments_although_it_does_not_name_them() -> None:
    page = "Content-Type: text/html\n\n<h1>Travel</h1>"
    style = "Content-Type: text/css\nContent-Location: cid:css-1@mhtml.example\n\np { color: red }"
    assert parse(mixed(page, style), "a.mht").attachments == ()
