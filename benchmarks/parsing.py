"""How fast parsing is, what it keeps, and what isolation costs.

Takes a folder of files (PDF, DOCX, HTML, Markdown, text; others are skipped). Prints a Markdown
table: pages per second and, for PDFs, the share of PDFium's plain characters that is kept (running
headers and footers are dropped on purpose); then the cost of a warm child process per document.

    python benchmarks/parsing.py FOLDER
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pypdfium2

from ingestion_pipeline.errors import IngestError
from ingestion_pipeline.parsing import ParserPool, parse

ISOLATED_DOCUMENTS = 200
TINY = b"One short paragraph."


@dataclass
class Tally:
    """What was read of one format."""

    files: int = 0
    pages: int = 0
    seconds: float = 0.0
    kept: int = 0
    plain: int = 0


def main() -> None:
    """Parse every file once, then a tiny one many times in a child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for path in sorted(parser.parse_args().folder.rglob("*")):
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
    print(f"\nA warm child process costs {isolation_milliseconds():.2f} ms per document (median).")


def read(path: Path, tallies: dict[str, Tally]) -> None:
    """Parse a file and count it; what cannot be parsed is skipped."""
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
        tally.kept += dense_length(parsed.text)
        tally.plain += dense_length(plain_text(data))


def plain_text(data: bytes) -> str:
    """Return what PDFium itself reads of a PDF."""
    with pypdfium2.PdfDocument(data) as document:
        return "".join(page.get_textpage().get_text_bounded() for page in document)


def dense_length(text: str) -> int:
    """Count the characters that are not blank."""
    return len("".join(text.split()))


def isolation_milliseconds() -> float:
    """Return the median time of a tiny document in a warm child, less that in this process."""
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


if __name__ == "__main__":
    main()
