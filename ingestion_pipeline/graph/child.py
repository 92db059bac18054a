"""The process in which passages are read: some at a time, until its input ends.

Belongs here: its loop. Does not belong here: its life (``readers``), reading (``by_language``).
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence

from ingestion_pipeline.children import die_with
from ingestion_pipeline.control import NoControl
from ingestion_pipeline.graph.by_language import readings
from ingestion_pipeline.graph.readers import Answer
from ingestion_pipeline.graph.reading import Passage


def main(parent: int) -> None:
    """Answer requests on standard input on standard output, until the input ends."""
    die_with(parent)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between
    # spaCy would load it, which takes two seconds and 200 MB, and not use it.
    sys.modules["torch"] = None  # type: ignore[assignment]
    while True:
        try:
            passages = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent
        except EOFError:
            return
        pickle.dump(_answer(passages), replies)
        replies.flush()


def _answer(passages: Sequence[Passage]) -> Answer:
    try:
        return list(readings(passages, NoControl())), ""
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
        return None, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(int(sys.argv[1]))
