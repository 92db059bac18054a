"""How fast parsing is, what it keeps, what isolation costs, and a peer beside it.

Takes a folder of files; without one it makes PDFs of its own (prose, two columns, tables). Prints
Markdown tables: for each format the pages per second and, for PDFs, the share of PDFium's plain
characters that is kept (running headers and footers are dropped on purpose); then the cost of a
warm child process per document; then, with a Python that has ``unstructured`` and what its PDF
partitioner needs (pdfminer.six, pikepdf, pi-heif, unstructured-inference, a spaCy model), both in
turns over the same PDFs: pages per second, and how many of the peer's characters we have.

    python benchmarks/parsing.py [FOLDER] [--peer-python PATH] [--rounds 2] [--most-pages 100]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ISOLATED_DOCUMENTS = 200
TINY = b"One short paragraph."
PEER_ARGUMENT = "--be-the-peer"


@dataclass
class Tally:
    """What was read of one format."""

    files: int = 0
    pages: int = 0
    seconds: float = 0.0
    kept: int = 0
    plain: int = 0


@dataclass
class Read:
    """One PDF as one of both read it."""

    seconds: float
    processor: float
    """Seconds; machines that do other work as well lie about the others."""
    text: str
    headings: int
    tables: int


def main() -> None:
    """Parse every file once, a tiny one many times in a child, PDFs in turns with the peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--peer-python", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--most-pages", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder or make_documents(Path(made))
        report_formats(folder)
        print(f"\nA warm child process costs {isolation_milliseconds():.2f} ms per document.\n")
        if options.peer_python:
            pdfs = {
                path: pages
                for path in sorted(folder.rglob("*.pdf"))
                if 0 < (pages := page_count(path)) <= options.most_pages
            }
            report_peer(options.peer_python, pdfs, options.rounds)


def report_formats(folder: Path) -> None:
    """Print what was read of each format."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            read(path, tallies)
    print("| format | files | pages | seconds | pages/s | characters kept |")
    print("|---|---|---|---|---|---|")
    for media_type, tally in sorted(tallies.items()):
        rate = f"{tally.pages / tally.seconds:.0f}" if tally.pages else ""
        kept = f"{tally.kept / tally.plain:.1%}" if tally.plain else ""
        print(
            f"| {media_type} | {tally.files} | {tally.pages or ''} | {tally.seconds:.2f} "
            f"| {rate} | {kept} |"
        )


def read(path: Path, tallies: dict[str, Tally]) -> None:
    """Parse a file and count it; what cannot be parsed is skipped."""
    from ingestion_pipeline.errors import IngestError
    from ingestion_pipeline.parsing import parse

    data = path.read_bytes()
    began = time.perf_counter()
    try:
        parsed = parse(data, path.name)
    except IngestError:
        return
    tally = tallies[parsed.media_type]
    tally.seconds += time.perf_counter() - began
    tally.files += 1
    if parsed.media_type == "application/pdf":
        tally.pages += parsed.pages or 0
        plain = characters(plain_text(data))
        tally.kept += (plain & characters(parsed.text)).total()
        tally.plain += plain.total()


def report_peer(python: Path, pdfs: dict[Path, int], rounds: int) -> None:
    """Print what both read, in turns (ours, peer, ours, peer, ...), then where they differ.

    Documents of which the peer reads nothing count for neither.
    """
    print("| round | who | pages | seconds | CPU s | pages/s | headings | tables | characters |")
    print("|---|---|---|---|---|---|---|---|---|")
    differences: dict[str, Counter[str]] = {}
    for number in range(1, rounds + 1):
        ours = [read_by_us(path) for path in pdfs]
        theirs = read_by_peer(python, list(pdfs))
        both = [
            (path.name, pdfs[path], mine, other)
            for path, mine, other in zip(pdfs, ours, theirs, strict=True)
            if other.text.strip()
        ]
        pages = sum(count for _, count, _, _ in both)
        missing = {
            name: characters(other.text) - characters(mine.text) for name, _, mine, other in both
        }
        total = sum(characters(other.text).total() for _, _, _, other in both)
        kept = 1 - sum(lost.total() for lost in missing.values()) / max(total, 1)
        report_side(number, "ours", pages, [mine for _, _, mine, _ in both], kept)
        report_side(number, "unstructured fast", pages, [other for *_, other in both], 1.0)
        differences = {name: lost for name, lost in missing.items() if lost}
    print(f"\nThe peer reads nothing of {len(pdfs) - len(both)} of {len(pdfs)} documents.")
    for name, lost in differences.items():
        print(f"{name}: {lost.total()} characters fewer, most of them {lost.most_common(5)}")


def report_side(number: int, who: str, pages: int, reads: Sequence[Read], kept: float) -> None:
    """Print one row."""
    seconds = sum(each.seconds for each in reads)
    processor = sum(each.processor for each in reads)
    headings = sum(each.headings for each in reads)
    tables = sum(each.tables for each in reads)
    print(
        f"| {number} | {who} | {pages} | {seconds:.2f} | {processor:.2f} | {pages / seconds:.1f} "
        f"| {headings} | {tables} | {kept:.2%} |"
    )


def read_by_us(path: Path) -> Read:
    """Parse a PDF with this project."""
    from ingestion_pipeline.parsing import parse

    began, used = time.perf_counter(), time.process_time()
    parsed = parse(path.read_bytes(), path.name)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    categories = Counter(str(element.category) for element in parsed.elements)
    return Read(seconds, processor, parsed.text, categories["Title"], categories["Table"])


def read_by_peer(python: Path, paths: Sequence[Path]) -> list[Read]:
    """Have the peer parse PDFs in one process; its start and first use do not count."""
    environment = {**os.environ, "DO_NOT_TRACK": "1", "SCARF_NO_ANALYTICS": "true"}
    command = [str(python), __file__, PEER_ARGUMENT, *map(str, paths)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return [Read(**fields) for fields in json.loads(done.stdout)]


def be_the_peer(paths: Sequence[str]) -> None:
    """Parse PDFs with unstructured, strategy fast; runs in the peer's Python."""
    from unstructured.partition.pdf import partition_pdf

    partition_pdf(filename=paths[0], strategy="fast")
    reads = []
    for path in paths:
        began, used = time.perf_counter(), time.process_time()
        elements = partition_pdf(filename=path, strategy="fast")
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        categories = Counter(element.category for element in elements)
        text = "\n".join(element.text for element in elements)
        read = Read(seconds, processor, text, categories["Title"], categories["Table"])
        reads.append(vars(read))
    print(json.dumps(reads))


def page_count(path: Path) -> int:
    """Return the pages of a PDF that have text, 0 if none has or it cannot be opened."""
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as document:
            has_text = any(page.get_textpage().count_chars() for page in document)
            return len(document) if has_text else 0
    except pypdfium2.PdfiumError:
        return 0


def plain_text(data: bytes) -> str:
    """Return what PDFium itself reads of a PDF."""
    import pypdfium2

    with pypdfium2.PdfDocument(data) as document:
        return "".join(page.get_textpage().get_text_bounded() for page in document)


def characters(text: str) -> Counter[str]:
    """Count each character that is not blank; ligatures are what they are made of.

    What the peer writes for a glyph that it does not know, "(cid:7)", is none.
    """
    text = re.sub(r"\(cid:\d+\)", "", unicodedata.normalize("NFKC", text))
    return Counter("".join(text.split()))


def isolation_milliseconds() -> float:
    """Return the median time of a tiny document in a warm child, less that in this process."""
    from ingestion_pipeline.parsing import ParserPool, parse

    inside, isolated = [], []
    with ParserPool(workers=1, timeout_seconds=30, memory_bytes=2 * 1024**3) as pool:
        pool.parse(TINY, "tiny.txt")
        for _ in range(ISOLATED_DOCUMENTS):
            began = time.perf_counter()
            pool.parse(TINY, "tiny.txt")
            isolated.append(time.perf_counter() - began)
            began = time.perf_counter()
            parse(TINY, "tiny.txt")
            inside.append(time.perf_counter() - began)
    return (statistics.median(isolated) - statistics.median(inside)) * 1000


def make_documents(folder: Path) -> Path:
    """Write PDFs of prose, of two columns and of tables; return their folder."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import (
        BaseDocTemplate,
        Frame,
        PageTemplate,
        Paragraph,
        SimpleDocTemplate,
        Table,
        TableStyle,
    )

    styles = getSampleStyleSheet()
    sentence = "The {} of section {} was written down by hand and read aloud to all who came. "
    story = []
    for section in range(60):
        story.append(Paragraph(f"Section {section}", styles["Heading1"]))
        story += [
            Paragraph(
                "".join(sentence.format(f"part {line}", section) for line in range(12)),
                styles["BodyText"],
            )
            for _ in range(5)
        ]
    SimpleDocTemplate(str(folder / "prose.pdf"), pagesize=A4).build(list(story))
    columns = [Frame(50, 50, 240, 740), Frame(305, 50, 240, 740)]
    two = BaseDocTemplate(str(folder / "columns.pdf"), pagesize=A4)
    two.addPageTemplates(PageTemplate(frames=columns))
    two.build(list(story))
    rows = [["Item", "Place", "Price"], *([f"item {n}", "hall", f"{n}.50"] for n in range(600))]
    table = Table(rows, repeatRows=1)
    table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
    SimpleDocTemplate(str(folder / "tables.pdf"), pagesize=A4).build([table])
    return folder


if __name__ == "__main__":
    if sys.argv[1:2] == [PEER_ARGUMENT]:
        be_the_peer(sys.argv[2:])
    else:
        main()
