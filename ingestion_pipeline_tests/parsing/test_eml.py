from __future__ import annotations

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline, texts


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
