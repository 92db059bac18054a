"""A process that reads some pages of a PDF for another one; see ``reader``.

    python -m ingestion_pipeline.parsing.pdf.worker FIRST END

Takes two frames on standard input, the password (empty if there is none) and the document, and
answers with one: a ``Reading`` in JSON of the pages from FIRST (0 is the first) to before END.
"""

from __future__ import annotations

import os
import sys

from ingestion_pipeline.parsing.pdf.reader import READING, Reading, read_range
from ingestion_pipeline.parsing.protocol import read_frame, write_frame


def main(first: int, end: int) -> None:
    """Read the pages of the document on standard input."""
    import pypdfium2

    with os.fdopen(os.dup(1), "wb") as replies:
        os.dup2(2, 1)  # what a library prints must not come between
        password, data = read_frame(sys.stdin.buffer), read_frame(sys.stdin.buffer)
        if password is None or data is None:
            return
        try:
            with pypdfium2.PdfDocument(data, password.decode() or None) as document:
                answer = READING.dump_json(read_range(document, first, end))
        except MemoryError:
            answer = READING.dump_json(Reading(out_of_memory=True))
        write_frame(replies, answer)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
