from __future__ import annotations

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.outline import texts

SRT = """1
00:00:01,000 --> 00:00:03,500
The committee approves
<i>every</i> journey.

2
00:00:03,600 --> 00:00:05,000
{\\an8}Keep receipts.

3
00:00:09,000 --> 00:00:10,000
Any questions?
"""
VTT = """WEBVTT - Travel

NOTE nobody reads this

first
00:01.000 --> 00:03.500 align:start
<v Ada>The committee approves it.

00:03.600 --> 00:05.000
Keep <c.loud>receipts</c>.

00:05.100 --> 00:06.000
<v Emmy>All of them?
"""


@pytest.mark.parametrize(
    ("source", "paragraphs"),
    [
        (SRT, ["The committee approves every journey. Keep receipts.", "Any questions?"]),
        (VTT, ["Ada: The committee approves it. Keep receipts.", "Emmy: All of them?"]),
        (SRT.replace("\n", "\r\n"), None),
    ],
)
def test_subtitles_are_what_is_said(source: str, paragraphs: list[str] | None) -> None:
    document = parse(source.encode(), "a.txt")
    assert document.media_type == "text/vtt"
    assert texts(document) == (paragraphs or texts(parse(SRT.encode(), "a.srt")))
