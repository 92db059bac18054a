from __future__ import annotations

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline.parsing.detection import FileType, detect
from ingestion_pipeline_tests.parsing.further_samples import MBOX


def test_each_message_of_a_mailbox_is_a_mail_of_its_own() -> None:
    document = parse(MBOX, "inbox")
    assert document.media_type == "application/mbox"
    first, second = document.attachments
    assert (first.name, second.name) == ("Travel.eml", "Re: Travel.eml")
    mail = parse(first.data, first.name)
    assert mail.title == "Travel"
    assert mail.text.endswith("Hello.\n\nFrom here on.")
    assert parse(second.data, second.name).text.endswith("From me, too.")


@pytest.mark.parametrize(
    ("data", "file_type"),
    [
        (b"From a 1 2025\nMIME-Version: 1.0\n\nx\n\nFrom c 2 2025\nTo: b\n\ny", FileType.MBOX),
        (MBOX.partition(b"\n\nFrom c@example")[0], FileType.EML),
        (b"From here it is far: two\ndays.\n", FileType.PLAIN_TEXT),
    ],
)
def test_one_message_is_no_mailbox(data: bytes, file_type: FileType) -> None:
    assert detect(data, "a") is file_type
