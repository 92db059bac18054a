from __future__ import annotations

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.further_samples import handbook_odp
from ingestion_pipeline_tests.parsing.outline import ITEM, TABLE, TEXT, TITLE, outline


def test_a_slide_is_a_page_with_its_title_above_the_rest() -> None:
    document = parse(handbook_odp(), "a.odp")
    assert document.media_type == "application/vnd.oasis.opendocument.presentation"
    assert (document.title, document.pages) == ("Travel", 2)
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (ITEM, "Keep receipts", ("Travel",)),
        (TEXT, "Say it twice.", ("Travel",)),
        (TEXT, "No title here", ()),
        (TABLE, "City | Rate\nOslo | 120", ()),
    ]
    assert [element.page for element in document.elements] == [1, 1, 1, 2, 2]
