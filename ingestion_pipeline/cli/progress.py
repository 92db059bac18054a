"""Watching tasks: a progress bar on a terminal, plain lines otherwise; always on stderr."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ingestion_pipeline.cli.common import tell
from ingestion_pipeline.client import IngestionClient

LOOK_SECONDS = 0.5
LOOK_SECONDS_PER_TASK = 0.001
"""The more tasks, the rarer: the processor that looks may be the one that works."""


@contextmanager
def watching(client: IngestionClient, task_ids: Sequence[str]) -> Iterator[None]:
    """Show how far the tasks are while the block waits for them."""
    stop = threading.Event()
    show = _bar if sys.stderr.isatty() else _lines
    thread = threading.Thread(target=show, args=(client, task_ids, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _bar(client: IngestionClient, task_ids: Sequence[str], stop: threading.Event) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("tasks", total=len(task_ids))

        def update(done: int, text: str) -> None:
            progress.update(bar, completed=done, description=text)

        _follow(client, task_ids, stop, update)


def _lines(client: IngestionClient, task_ids: Sequence[str], stop: threading.Event) -> None:
    said = [""]

    def update(done: int, text: str) -> None:
        line = f"{done} of {len(task_ids)} tasks done: {text}"
        if line != said[0]:
            tell(line)
            said[0] = line

    _follow(client, task_ids, stop, update)


def _follow(
    client: IngestionClient,
    task_ids: Sequence[str],
    stop: threading.Event,
    update: Callable[[int, str], None],
) -> None:
    ended = False
    pause = LOOK_SECONDS + LOOK_SECONDS_PER_TASK * len(task_ids)
    while not ended:
        ended = stop.wait(pause)  # the last look comes after the end
        states = client.services.registry.tasks.states(task_ids)
        counts = Counter(state.value for state in states.values())
        done = sum(state.final for state in states.values())
        update(done, ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
