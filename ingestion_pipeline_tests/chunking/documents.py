"""Documents for the chunking tests, built by hand and by hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from ingestion_pipeline.model.elements import Element, ElementCategory, ParsedDocument

WORDS = (
    *(
        "a",
        "the",
        "model",
        "reads",
        "extraordinarily",
        "antidisestablishmentarianism",
        "3.14",
        "e.g.",
    ),
    *(
        "end.",
        "Why?",
        "No!",
        "文書を読む。",
        "東京は首都です！",  # noqa: RUF001
        "[SEP]",
        "<|endoftext|>",
        "x" * 130,
    ),
    *("\ud800", "e\u0301", "👩‍👩‍👧", "한국어", "|", "\u200b", "--------"),
)
BLANKS = (" ", " ", " ", "\n", "\n\n", "\t  ")


def title(text: str, *path: str, level: int = 1, page: int | None = None) -> Element:
    return Element(ElementCategory.TITLE, text, page, level, path)


def paragraph(text: str, *path: str, page: int | None = None) -> Element:
    return Element(ElementCategory.NARRATIVE_TEXT, text, page, heading_path=path)


def table(text: str, *path: str) -> Element:
    return Element(ElementCategory.TABLE, text, heading_path=path)


def document(*elements: Element) -> ParsedDocument:
    return ParsedDocument("text/plain", elements)


def sentences(count: int, *, words: int = 9) -> str:
    """Return ``count`` sentences of ``words`` + 2 tokens each, all different."""
    return " ".join(
        f"Sentence {number}{' word' * (words - 1)}." for number in range(100, 100 + count)
    )


def _texts(max_words: int) -> st.SearchStrategy[str]:
    word = st.sampled_from(WORDS) | st.text(min_size=1, max_size=12)
    pairs = st.lists(st.tuples(word, st.sampled_from(BLANKS)), min_size=1, max_size=max_words)
    return pairs.map(lambda parts: "".join(word + blank for word, blank in parts))


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    """Draw a document with a consistent outline and ascending pages."""
    elements: list[Element] = []
    path: tuple[str, ...] = ()
    page = 1
    for category in draw(st.lists(st.sampled_from(ElementCategory), max_size=12)):
        page += draw(st.integers(0, 1))
        if category is ElementCategory.TITLE:
            text = draw(_texts(4))
            level = draw(st.integers(1, len(path) + 1))
            path = path[: level - 1]
            elements.append(title(text, *path, level=level, page=page))
            path = (*path, text)
        else:
            elements.append(Element(category, draw(_texts(120)), page, heading_path=path))
    return document(*elements)
