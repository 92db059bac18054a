from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from ingestion_pipeline.errors import ErrorKind, TransientError
from ingestion_pipeline.parsing.pdf import reader
from ingestion_pipeline.parsing.pdf.reader import read_pages, read_range
from ingestion_pipeline_tests.parsing import samples

PAGES = 4


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_free_cores", lambda: 2)


@pytest.fixture
def document() -> Iterator[pypdfium2.PdfDocument]:
    with pypdfium2.PdfDocument(samples.handbook_pdf(PAGES)) as opened:
        yield opened


@pytest.mark.parametrize("password", [None, "grün ist es"])
def test_several_processes_read_what_one_reads(password: str | None) -> None:
    options = {"password": password} if password else {}
    data = samples.handbook_pdf(PAGES, **options)
    with pypdfium2.PdfDocument(data, password) as document:
        together = read_pages(document, data, password, pages_per_process=2)
        assert together == read_range(document, 0, PAGES)
    assert [page.number for page in together.pages] == list(range(1, PAGES + 1))


def test_a_short_document_starts_no_process(document: pypdfium2.PdfDocument) -> None:
    nothing = (sys.executable, "-c", "raise SystemExit(1)")
    assert len(read_pages(document, b"", None, command=nothing).pages) == PAGES


@pytest.mark.parametrize(
    "program",
    [
        "raise SystemExit(1)",
        "import os; os.abort()",
        "print(end=7 * chr(0) + chr(9) + 'no answer')",
    ],
)
def test_a_process_that_dies_is_a_crash(
    document: pypdfium2.PdfDocument, program: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = (sys.executable, "-c", program)
    longer_than_a_pipe = bytes(2_000_000)
    with pytest.raises(TransientError) as raised:
        read_pages(document, longer_than_a_pipe, None, pages_per_process=2, command=command)
    assert raised.value.kind is ErrorKind.CRASHED


def test_a_process_without_memory_says_so(document: pypdfium2.PdfDocument, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import sys\n"
        "from ingestion_pipeline.parsing.pdf import worker\n"
        "def fail(*arguments): raise MemoryError\n"
        "worker.read_range = fail\n"
        "worker.main(*map(int, sys.argv[1:]))\n"
    )
    data = samples.handbook_pdf(PAGES)
    with pytest.raises(MemoryError):
        read_pages(document, data, None, pages_per_process=2, command=(sys.executable, str(worker)))
