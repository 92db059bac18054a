from __future__ import annotations

import base64
import json

import pytest

from ingestion_pipeline.errors import ErrorKind, PermanentError
from ingestion_pipeline.parsing import parse
from ingestion_pipeline_tests.parsing.outline import CODE, TEXT, TITLE, outline
from ingestion_pipeline_tests.parsing.picture_samples import chart


def notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}).encode()


MARKDOWN = {"cell_type": "markdown", "source": ["# Rates\n", "\n", "What *cities* cost.\n"]}


def test_a_notebook_is_its_text_its_code_and_what_that_printed() -> None:
    printed = {"output_type": "stream", "text": ["Oslo 120\n", "Rome 98\n"]}
    code = {"cell_type": "code", "source": "print(rates)", "outputs": [printed]}
    document = parse(notebook(MARKDOWN, code, {"cell_type": "raw", "source": "As is."}), "a.ipynb")
    assert document.media_type == "application/x-ipynb+json"
    assert outline(document) == [
        (TITLE, "Rates", ()),
        (TEXT, "What cities cost.", ("Rates",)),
        (CODE, "print(rates)", ("Rates",)),
        (CODE, "Oslo 120\nRome 98", ("Rates",)),
        (TEXT, "As is.", ("Rates",)),
    ]


def test_what_code_drew_is_a_picture() -> None:
    data = base64.b64encode(chart()).decode()
    drawn = {"output_type": "display_data", "data": {"image/png": data, "text/plain": "<Figure>"}}
    document = parse(
        notebook({"cell_type": "code", "source": "plot()", "outputs": [drawn]}), "a.ipynb"
    )
    (element,) = document.elements
    assert (element.text, element.picture) == ("plot()", document.pictures[0].picture_id)


def test_a_notebook_of_an_old_format_says_what_to_do() -> None:
    with pytest.raises(PermanentError, match="open and save it again") as raised:
        parse(b'{"nbformat": 3, "worksheets": []}', "a.ipynb")
    assert raised.value.kind is ErrorKind.UNSUPPORTED
