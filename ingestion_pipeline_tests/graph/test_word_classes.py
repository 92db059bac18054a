from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from ingestion_pipeline.graph.word_classes import WordClasses
from ingestion_pipeline.installed import ENGLISH_MODEL

TEXT = """\
There is a lighthouse which Ada didn't build; she'd have got one, and he gets it.
The keepers were being paid, had found what they'd lost, and ain't coming. Let's go on, y'all.

| a | cell | of 17 % |
They lay there. Who lies, lied. I'm gonna see what has to be seen; better tools worked best.
"""
VERBS = {"VERB", "AUX"}


@pytest.fixture(scope="module")
def models() -> tuple[Any, Any, WordClasses]:
    """A model as it comes, one with parts of it replaced, and what replaces them."""
    package = import_module(ENGLISH_MODEL)
    ours = package.load()
    return package.load(), ours, WordClasses(ours)


@pytest.mark.parametrize("text", [TEXT, *TEXT.splitlines(), "", "  \n"])
def test_words_are_of_the_classes_that_the_model_says(
    models: tuple[Any, Any, WordClasses], text: str
) -> None:
    whole, ours, classes = models
    expected, doc = whole(text), ours(text)

    for _ in range(2):  # what is learnt the first time is known the second
        classes.mark(doc)

        for one, other in zip(expected, doc, strict=True):
            assert (one.pos_, one.tag_, one.dep_) == (other.pos_, other.tag_, other.dep_)
            assert one.morph == other.morph
            if one.pos_ in VERBS:
                assert one.lemma_ == other.lemma_
        doc = ours(text)
