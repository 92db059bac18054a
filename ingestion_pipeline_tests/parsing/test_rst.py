from __future__ import annotations

from pathlib import Path

import pytest

from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing import further_samples as samples
from ingestion_pipeline_tests.parsing.outline import (
    CODE,
    ITEM,
    TABLE,
    TEXT,
    TITLE,
    outline,
)


def test_sections_lists_tables_and_code_are_elements() -> None:
    document = parse(samples.RST, "a.rst")
    below = ("Travel", "Receipts")
    assert document.title == "Travel"
    assert outline(document) == [
        (TITLE, "Travel", ()),
        (TEXT, "The committee approves every journey.", ("Travel",)),
        (TITLE, "Receipts", ("Travel",)),
        (ITEM, "Keep them", below),
        (ITEM, "Hand them in", below),
        (TABLE, "City | Rate\nOslo | 120", below),
        (CODE, "rate = 120", below),
        (ITEM, "term: what it means", below),
    ]


@pytest.mark.parametrize(
    "directive",
    [
        ".. include:: {path}",
        ".. literalinclude:: {path}",
        ".. raw:: html\n   :file: {path}",
        ".. csv-table::\n   :file: {path}",
        ".. csv-table::\n   :url: {uri}",
    ],
)
def test_no_directive_reads_a_file(directive: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret,words\n")
    source = f"Text.\n\n{directive.format(path=secret, uri=secret.as_uri())}\n"
    document = parse(source.encode(), "a.rst")
    assert outline(document) == [(TEXT, "Text.", ())]


def test_what_sphinx_adds_is_the_text_that_it_holds() -> None:
    source = """
Travel
======

See :ref:`the rates <rates>`, :class:`~office.Receipt` and :doc:`leave`.

.. versionadded:: 2.0

.. seealso::
   :class: wide

   The *handbook*.

   - Keep it

.. toctree::
   :maxdepth: 2

   chapter-one
"""
    assert outline(parse(source.encode(), "a.rst")) == [
        (TITLE, "Travel", ()),
        (TEXT, "See the rates, Receipt and leave.", ("Travel",)),
        (TEXT, "2.0", ("Travel",)),
        (TEXT, "The handbook.", ("Travel",)),
        (ITEM, "Keep it", ("Travel",)),
    ]
