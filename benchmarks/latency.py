"""How long a message takes from XADD until its document can be found, warm and cold.

Two installations in one run, A B A B: one with a worker, one where each run gets a process of its
own. Each message is about a PDF of one page. Three loads: single messages at random gaps; many at
once; one after the other. A document counts as found when its task is recorded as succeeded, which
happens after the commit to the index; at the end each is really searched for.

    python benchmarks/latency.py                          # 12 minutes; writes docs/performance.md
    python benchmarks/latency.py --messages 5 --gap 1 2   # a quick look; writes nothing
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from documents import write_page
from pages import inserted
from systems import System, running

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
COLLECTION = "latency"
LONGEST_SECONDS = 120.0


@dataclass
class Side:
    """One of the two installations, and what was measured on it."""

    name: str
    system: System
    gaps: list[float] = field(default_factory=list)
    at_once: list[float] = field(default_factory=list)
    back_to_back: list[float] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    """Words that only one document has each, which is called so."""


def main() -> int:
    """Measure, check that everything is found, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=30)
    parser.add_argument("--gap", type=float, nargs=2, default=(6.0, 15.0))
    arguments = parser.parse_args()
    generator = random.Random(1)
    with ExitStack() as stack:
        sides = [
            Side("warm worker", stack.enter_context(running(workers=1))),
            Side("process per run", stack.enter_context(running(workers=0))),
        ]
        for side in sides:
            side.system.collection(COLLECTION)
            for _ in range(4):  # both processes of the worker load the model
                measure(side, 2, generator)
        for number in range(arguments.messages):
            for side in sides:
                if side is sides[0] or number % 3 == 0:  # the slower one less often
                    time.sleep(generator.uniform(*arguments.gap))
                    side.gaps += measure(side, 1, generator)
        for side in sides:
            time.sleep(6)
            side.at_once += measure(side, arguments.messages, generator)
            time.sleep(6)
            for _ in range(arguments.messages // 3):
                side.back_to_back += measure(side, 1, generator)
        missing = [mark for side in sides for mark in not_found(side)]
        report = table(sides) + "\n" + starts(sides)
    print(report)
    if arguments.messages >= 30 and not missing:
        PAGE.write_text(inserted(PAGE.read_text(), "latency", report))
    if missing:
        print(f"not found by searching: {missing}", file=sys.stderr)
    return 1 if missing else 0


def measure(side: Side, messages: int, generator: random.Random) -> list[float]:
    """Send messages at once and return the seconds that each took."""
    written = [write_page(side.system.sources, generator) for _ in range(messages)]
    side.marks += [path.stem for path in written]
    sent = {}
    for path in written:
        task_id = uuid.uuid4().hex
        sent[task_id] = side.system.send(task_id, path, COLLECTION)
    tasks = side.system.done(list(sent), LONGEST_SECONDS)
    failed = [task for task in tasks if task.error]
    if failed:
        raise RuntimeError(f"{len(failed)} tasks failed: {failed[0].error}")
    return [task.finished_at - sent[task.task_id] for task in tasks if task.finished_at]


def not_found(side: Side) -> list[str]:
    """Return the marks that a search for them does not find."""
    client = side.system.client
    missing = []
    for mark in side.marks:
        hits = client.search(mark, collection=COLLECTION, mode="text", k=3)
        if f"{mark}.pdf" not in {hit.name for hit in hits}:
            missing.append(mark)
    return missing


def table(sides: Sequence[Side]) -> str:
    """Render the seconds as Markdown."""
    lines = [
        "| XADD → searchable, seconds | " + " | ".join(side.name for side in sides) + " |",
        "|---|" + "---|" * len(sides),
    ]
    for title, name in (
        ("random gaps", "gaps"),
        ("all at once", "at_once"),
        ("back to back", "back_to_back"),
    ):
        cells = [summary(getattr(side, name)) for side in sides]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def summary(seconds: Sequence[float]) -> str:
    """Say how values are spread."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return (
        f"p50 {statistics.median(ordered):.1f}, p95 {p95:.1f}, "
        f"{ordered[0]:.1f} to {ordered[-1]:.1f} ({len(ordered)})"
    )


def starts(sides: Sequence[Side]) -> str:
    """Render how long runs took from their launch to their start."""
    bounds = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, float("inf"))
    heads = [f"≤ {bound:g}" if bound != bounds[-1] else "more" for bound in bounds]
    lines = [
        "| launch → start of a run, seconds | " + " | ".join(heads) + " |",
        "|---|" + "---|" * len(bounds),
    ]
    for side in sides:
        waits = [stats.start_time - stats.launch_time for stats in side.system.run_stats()]
        counts = [
            sum(low < wait <= high for wait in waits)
            for low, high in zip((float("-inf"), *bounds), bounds, strict=False)
        ]
        lines.append(f"| {side.name} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
